// The worker's listeners: accept, admission, and the listeners that a reload adds and retires.

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "bpf/packet/tcp_repair.h"
#include "net/flow/doorman.h"
#include "net/interface_index.h"
#include "net/server/worker.h"
#include "net/socket.h"

namespace sni {

namespace {

// How long accepting pauses after a failure, instead of spinning.
constexpr std::uint64_t accept_pause_ms = 100;

// How often a failure that lasts is told.
constexpr std::uint64_t accept_warning_ms = 10'000;

// How long a retired listener waits for the ends of handshakes: a long round trip. Less than
// ListenerSet waits for its port.
constexpr std::uint64_t handshake_grace_ms = 250;

// Errors of accept(2) that concern the connection at the head of the backlog, not the listener.
bool is_of_one_client(int error) {
  switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
      return true;
    default:
      return false;
  }
}

// What the operator can do about it, after the message. A limit of 1 cannot be lowered.
std::string_view remedy(int error, std::uint32_t connections) {
  if (!lacks_descriptors(error)) return {};
  return connections == 1 ? " (raise the limit of open files)"
                          : " (raise the limit of open files, or lower limits.connections)";
}

}  // namespace

void Worker::arm(std::uint32_t id) {
  Listener& listener = *listeners_[id];
  assert(!listener.armed);
  listener.armed = true;
  loop_->ring.accept_multishot(listener.socket.fd(), {.op = Op::accept, .slot = id});
}

void Worker::on_accept(const Completion& completion) {
  const std::uint32_t id = completion.tag.slot;
  Listener& listener = *listeners_[id];
  if (completion.result >= 0) accept(listener, completion.result);
  if ((completion.flags & IORING_CQE_F_MORE) != 0) return;
  listener.armed = false;
  if (listener.retired) return close_retired(id);
  if (completion.result >= 0 || is_of_one_client(-completion.result)) return arm(id);
  // Usually out of descriptors or memory: closing connections free some. Until then new connections
  // stay in the backlog.
  counters_.accept_errors.add();
  listener.retry_ms = loop_->now_ms + accept_pause_ms;
  if (loop_->now_ms < accept_warning_due_ms_) return;
  accept_warning_due_ms_ = loop_->now_ms + accept_warning_ms;
  spdlog::warn("accepting on {} pauses: {}{}", listener.config.address.to_string(interface_name),
               std::generic_category().message(-completion.result),
               remedy(-completion.result, listener.snapshot->config.limits.connections));
}

void Worker::accept(Listener& listener, int fd) {
  UniqueFd client = UniqueFd::adopt(fd);
  if (stopping_) return;
  counters_.accepted.add();
  const Endpoint peer = peer_of(client.get());
  const Snapshot& snapshot = *listener.snapshot;
  const auto& config = snapshot.listener_configs[listener.index];
  const bool is_proxy = config->is_proxy(peer.ip);
  const Doorman doorman(shared_);
  auto seat = is_proxy ? doorman.admit_proxy(*snapshot.settings)
                       : doorman.admit(peer.ip, *snapshot.settings);
  if (!seat) return refuse(seat.error(), peer);
  // The socket may have been opened by an earlier configuration.
  const TcpConfig& tcp = snapshot.settings->tcp;
  if (tcp != listener.tcp) {
    set_keepalive(client.get(), tcp);
    set_user_timeout(client.get(), tcp);
  }
  Flow& flow = loop_->ledger.open({.started_ms = loop_->now_ms,
                                   .client = peer,
                                   .proxy = is_proxy ? peer : Endpoint{},
                                   .listener = config},
                                  std::move(*seat));
  const std::uint32_t slot = slots_.acquire();
  loop_->deadlines.grow(slots_.capacity());
  slots_.emplace(slot, *loop_,
                 ConnectionStart{.slot = slot,
                                 .generation = slots_.generation(slot),
                                 .client = std::move(client),
                                 .flow = flow,
                                 .listener = listener.index,
                                 .snapshot = listener.snapshot});
}

void Worker::refuse(Refusal refusal, const Endpoint& peer) {
  counters_.refused[static_cast<std::size_t>(refusal)].add();
  if (refusal == Refusal::connections) warn_of_full();
  if (!loop_->refusals_log.admit(loop_->now_ms)) return;
  spdlog::info("refused {}: {}", peer.to_string(interface_name), to_string(refusal));
}

void Worker::warn_of_full() {
  if (loop_->now_ms < full_warning_due_ms_) return;
  full_warning_due_ms_ = loop_->now_ms + accept_warning_ms;
  const FlowSettings& settings = *snapshot_->settings;
  const bool by_descriptors = settings.relayed_max < settings.connections_max;
  spdlog::warn("clients are refused: all {} connections are in use that {}", settings.relayed_max,
               by_descriptors ? "the limit of open files allows (ulimit -n, LimitNOFILE=)"
                              : "limits.connections allows");
}

// A kept listener continues with its socket under the new snapshot; one that is no longer
// configured is retired.
void Worker::apply(NewListeners given) {
  const auto& snapshot = given.snapshot;
  // Perhaps only the addresses of this host have changed.
  const bool reload =
      snapshot_->settled != snapshot->settled || snapshot_->system_names != snapshot->system_names;
  snapshot_ = snapshot;
  loop_->policy = snapshot->policy();
  std::vector<bool> kept(listeners_.size(), false);
  for (std::uint32_t index = 0; index < given.listeners.size(); ++index) {
    LentListener& lent = given.listeners[index];
    const std::uint32_t place = lent.socket ? add(std::move(lent), index) : place_of(lent.id);
    kept.resize(listeners_.size());
    kept[place] = true;
    listeners_[place]->index = index;
    listeners_[place]->snapshot = snapshot;
  }
  for (std::uint32_t place = 0; place < kept.size(); ++place) {
    if (!kept[place]) retire(place);
  }
  if (reload) take_names(snapshot->system_names);
}

// Returns its place.
std::uint32_t Worker::add(LentListener lent, std::uint32_t index) {
  const auto free = std::find(listeners_.begin(), listeners_.end(), nullptr);
  const auto place = static_cast<std::uint32_t>(free - listeners_.begin());
  auto listener = std::make_unique<Listener>(Listener{.id = lent.id,
                                                      .config = snapshot_->config.listeners[index],
                                                      .socket = std::move(lent.socket),
                                                      .tcp = snapshot_->config.tcp,
                                                      .index = index,
                                                      .snapshot = snapshot_});
  if (free == listeners_.end()) {
    listeners_.push_back(std::move(listener));
  } else {
    *free = std::move(listener);
  }
  if (loop_->planes.has_packet()) promise_less(listeners_[place]->socket.fd());
  arm(place);
  return place;
}

std::uint32_t Worker::place_of(ListenerId id) const {
  const auto known = std::ranges::find_if(
      listeners_, [id](const auto& each) { return each != nullptr && each->id == id; });
  assert(known != listeners_.end());
  return static_cast<std::uint32_t>(known - listeners_.begin());
}

// Stops accepting; ListenerSet has its socket ignore new connections.
void Worker::retire(std::uint32_t id) {
  Listener* listener = listeners_[id].get();
  if (listener == nullptr) return;
  const bool was_retired = std::exchange(listener->retired, true);
  if (!was_retired) listener->close_ms = loop_->now_ms + handshake_grace_ms;
  if (!listener->armed) return close_retired(id);
  if (!was_retired) loop_->ring.cancel({.op = Op::accept, .slot = id});
}

// Connections that complete their handshake in time are still served, as soon as there are
// descriptors for them. A process that ends does not wait: nobody listens there after it.
void Worker::close_retired(std::uint32_t id) {
  Listener& listener = *listeners_[id];
  // In a drain that nothing else holds up, descriptors are not waited for long.
  const bool may_free = !draining_ || loop_->now_ms < listener.close_ms ||
                        shared_.connections.load(std::memory_order_relaxed) > 0;
  fcntl(listener.socket.fd(), F_SETFL, O_NONBLOCK);
  for (;;) {
    const int fd = accept4(listener.socket.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) {
      admit_syns(fd);
      accept(listener, fd);
    } else if (!stopping_ && may_free && (lacks_descriptors(errno) || errno == ENOMEM)) {
      listener.retry_ms = loop_->now_ms + accept_pause_ms;
      return;
    } else if (errno == EAGAIN && !draining_ && loop_->now_ms < listener.close_ms) {
      listener.retry_ms = listener.close_ms;
      return;
    } else if (errno == EAGAIN || !is_of_one_client(errno)) {
      listeners_[id].reset();
      return;
    }
  }
}

}  // namespace sni
