#include "net/server/listener_set.h"

#include <algorithm>

#include "net/socket.h"

namespace sni {

namespace {

// How long a change waits for busy workers to give back conflicting sockets.
constexpr std::chrono::milliseconds return_wait{500};

}  // namespace

LentSocket& LentSocket::operator=(LentSocket&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  set_ = std::exchange(other.set_, nullptr);
  listener_ = other.listener_;
  worker_ = other.worker_;
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

void LentSocket::give_back() {
  fd_ = -1;
  if (ListenerSet* set = std::exchange(set_, nullptr)) set->take_back(listener_, worker_);
}

Result<ListenerSet::Change> ListenerSet::prepare(const Config& config) {
  Change change;
  for (const ListenerConfig& listener : config.listeners) {
    const auto running = std::ranges::find_if(current_, [&](ListenerId id) {
      const std::lock_guard lock(mutex_);
      return entries_.at(id).config.address == listener.address;
    });
    if (running != current_.end()) {
      change.listeners.push_back({.id = *running, .config = listener, .opened = {}});
      continue;
    }
    auto sockets = open(listener, config.tcp);
    if (!sockets) return std::unexpected(sockets.error());
    change.listeners.push_back(
        {.id = ++last_id_, .config = listener, .opened = std::move(*sockets)});
  }
  return change;
}

Result<std::vector<UniqueFd>> ListenerSet::open(const ListenerConfig& listener,
                                                const TcpConfig& tcp) {
  std::vector<UniqueFd> sockets;
  for (unsigned worker = 0; worker < workers_; ++worker) {
    auto passed = passed_.find(listener, tcp);
    if (!passed) return std::unexpected(passed.error());
    if (*passed) {
      sockets.push_back(std::move(*passed));
      continue;
    }
    auto fd = worker == 0 ? open_first(listener, tcp) : listen_on(listener, false, tcp);
    if (!fd) return std::unexpected(fd.error());
    if (!cpus_.empty()) set_option(fd->get(), SOL_SOCKET, SO_INCOMING_CPU, cpus_[worker]);
    sockets.push_back(std::move(*fd));
  }
  return sockets;
}

// If a listener of ours has the port, as in a change from 0.0.0.0 to [::], no other process has it,
// and both listen until the workers have applied the change.
Result<UniqueFd> ListenerSet::open_first(const ListenerConfig& listener, const TcpConfig& tcp) {
  const std::uint16_t port = listener.address.port;
  std::unique_lock lock(mutex_);
  const bool ours = has_port(port, /*retired=*/false);
  if (!ours) {
    returned_.wait_for(lock, return_wait, [&] { return !has_port(port, /*retired=*/true); });
  }
  lock.unlock();
  return listen_on(listener, !ours, tcp);
}

bool ListenerSet::has_port(std::uint16_t port, bool retired) const {
  return std::ranges::any_of(entries_, [&](const auto& each) {
    return each.second.config.address.port == port && each.second.retired == retired;
  });
}

std::vector<ListenerConfig> ListenerSet::commit(Change change) {
  std::vector<ListenerConfig> retired;
  // A process that ends closes its sockets at once, so that clients are refused and need not wait.
  const bool ends = change.listeners.empty();
  const std::lock_guard lock(mutex_);
  for (const ListenerId id : current_) {
    const auto& wanted = change.listeners;
    if (std::ranges::find(wanted, id, &Change::Listener::id) != wanted.end()) continue;
    Entry& entry = entries_.at(id);
    entry.retired = true;
    retired.push_back(entry.config);
    // The service manager's socket stays open, and its next process is to get what comes.
    if (!ends && !passed_.has(entry.config.address)) {
      for (const Socket& socket : entry.sockets) ignore_syns(socket.fd.get());
    }
    close_returned(entry);
  }
  forget_closed();
  current_.clear();
  for (auto& [id, config, opened] : change.listeners) {
    current_.push_back(id);
    Entry& entry = entries_[id];
    entry.config = std::move(config);
    for (UniqueFd& fd : opened) entry.sockets.push_back({.fd = std::move(fd)});
  }
  return retired;
}

std::vector<LentListener> ListenerSet::lend(unsigned worker) {
  const std::lock_guard lock(mutex_);
  std::vector<LentListener> listeners;
  for (const ListenerId id : current_) {
    LentListener& listener = listeners.emplace_back(LentListener{.id = id, .socket = {}});
    Socket& socket = entries_.at(id).sockets[worker];
    if (std::exchange(socket.lent, true)) continue;
    listener.socket = LentSocket(*this, id, worker, socket.fd.get());
  }
  return listeners;
}

std::size_t ListenerSet::retired() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [id, entry] : entries_) {
    if (entry.retired)
      count += static_cast<std::size_t>(std::ranges::count(entry.sockets, true, &Socket::lent));
  }
  return count;
}

void ListenerSet::close_returned(Entry& entry) {
  for (Socket& socket : entry.sockets) {
    if (!socket.lent) socket.fd.reset();
  }
}

void ListenerSet::forget_closed() {
  std::erase_if(entries_, [](const auto& each) {
    return each.second.retired && std::ranges::none_of(each.second.sockets, &Socket::lent);
  });
}

void ListenerSet::take_back(ListenerId listener, unsigned worker) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(listener);
  entry.sockets[worker].lent = false;
  if (!entry.retired) return;
  close_returned(entry);
  forget_closed();
  returned_.notify_all();
}

}  // namespace sni
