#include "net/control/control_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "core/limits.h"
#include "net/control/control_address.h"
#include "net/group_id.h"

namespace sni {
namespace {

using nlohmann::json;

// The listener's id in epoll; clients have ids from 1 on.
constexpr std::uint64_t listener_id = 0;

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::listen(const ControlConfig& config,
                                                             std::size_t clients_max) {
  auto server = std::unique_ptr<ControlServer>(new ControlServer(config.socket, clients_max));
  if (auto opened = server->open(config); !opened) {
    server->path_.clear();
    return std::unexpected(opened.error());
  }
  return server;
}

Result<void> ControlServer::open(const ControlConfig& config) {
  const std::string act = "cannot open the control socket " + path_;
  if (const auto fits = control_address(path_); !fits) return std::unexpected(fits.error());
  const std::string directory = path_.substr(0, path_.rfind('/'));
  if (!directory.empty() && mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return fail_sys(act + ": cannot make " + directory, errno);
  }
  auto bound = bind_unix(path_, act, "another proxy");
  if (!bound) return std::unexpected(bound.error());
  listener_ = std::move(*bound);
  if (auto given = give_away(config); !given) {
    unlink(path_.c_str());
    return given;
  }
  if (::listen(listener_.get(), limits::control_clients_max) != 0) return fail_sys(act, errno);

  epoll_ = UniqueFd::adopt(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = listener_id}};
  if (!epoll_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) != 0) {
    return fail_sys(act, errno);
  }
  return {};
}

// Nobody can connect before listen().
Result<void> ControlServer::give_away(const ControlConfig& config) const {
  const std::string act = "cannot open the control socket " + path_;
  if (!config.group.empty()) {
    const auto group = group_id(config.group);
    if (!group) return fail(act + ": this host has no group '" + config.group + "'");
    if (chown(path_.c_str(), static_cast<uid_t>(-1), *group) != 0) {
      return fail_sys(act + ": cannot give it to the group '" + config.group + "'", errno);
    }
  }
  if (chmod(path_.c_str(), config.mode) != 0) return fail_sys(act, errno);
  return {};
}

ControlServer::~ControlServer() {
  if (!path_.empty()) unlink(path_.c_str());
}

std::optional<std::uint64_t> ControlServer::deadline_ms() const {
  std::optional<std::uint64_t> first;
  for (const auto& [id, client] : clients_) {
    if (client.output.empty()) continue;
    const std::uint64_t due = client.progress_ms + limits::control_timeout_ms;
    first = std::min(first.value_or(due), due);
  }
  return first;
}

void ControlServer::cut_slow_clients() {
  std::erase_if(clients_, [this](const auto& each) {
    const Client& client = each.second;
    return !client.output.empty() && now_ms_ >= client.progress_ms + limits::control_timeout_ms;
  });
}

void ControlServer::dispatch(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  std::array<epoll_event, limits::control_clients_max + 1> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const ClientId id = event.data.u64;  // A copy: epoll_event is packed.
    if (id == listener_id) {
      accept_clients();
      continue;
    }
    const auto client = clients_.find(id);
    if (client == clients_.end()) continue;
    if (!serve(id, client->second, event.events)) clients_.erase(client);
  }
  cut_slow_clients();
}

void ControlServer::accept_clients() {
  for (;;) {
    UniqueFd fd =
        UniqueFd::adopt(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    // The oldest client is dropped, so that forgotten ones cannot lock the operator out.
    if (clients_.size() >= clients_max_) clients_.erase(clients_.begin());
    const ClientId id = ++last_id_;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) continue;
    clients_[id].fd = std::move(fd);
  }
}

// False: the client is to be closed.
bool ControlServer::serve(ClientId id, Client& client, std::uint32_t events) {
  // While its answer is pending, epoll only reports that it hung up.
  if (client.awaited) return (events & (EPOLLHUP | EPOLLERR)) == 0;
  if (client.output.empty() && !receive(client)) return false;
  return proceed(id, client);
}

bool ControlServer::receive(Client& client) {
  std::array<char, 4096> bytes;
  const ssize_t size = recv(client.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) client.ending = true;
  client.input.append(bytes.data(), static_cast<std::size_t>(size));
  return true;
}

// Answers and writes until either has to wait.
bool ControlServer::proceed(ClientId id, Client& client) {
  do {
    answer_lines(id, client);
    if (!flush(client)) return false;
  } while (!client.awaited && client.output.empty() &&
           client.input.find('\n') != std::string::npos);
  if (!client.awaited && client.output.empty() && client.ending) return false;
  const std::uint32_t wanted = client.awaited ? 0U : client.output.empty() ? EPOLLIN : EPOLLOUT;
  epoll_event event{.events = wanted, .data = {.u64 = id}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.fd.get(), &event) == 0;
}

// Answers one line after the other until output or an answer is pending.
void ControlServer::answer_lines(ClientId id, Client& client) {
  answering_ = id;
  while (!client.awaited && client.output.empty()) {
    const std::size_t end = client.input.find('\n');
    if (end > limits::control_request_max) break;  // Or there is none (npos).
    const std::string line = client.input.substr(0, end);
    client.input.erase(0, end + 1);
    run(id, client, line);
  }
  answering_ = 0;
  if (!client.awaited && client.output.empty() &&
      client.input.size() > limits::control_request_max) {
    client.output = control_refusal("the request is too long") + '\n';
    client.progress_ms = now_ms_;
    client.input.clear();
    client.ending = true;
  }
}

bool ControlServer::flush(Client& client) const {
  while (!client.output.empty()) {
    const ssize_t size =
        send(client.fd.get(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    client.output.erase(0, static_cast<std::size_t>(size));
    client.progress_ms = now_ms_;
  }
  return true;
}

void ControlServer::run(ClientId id, Client& client, std::string_view line) {
  client.awaited = true;
  const auto request = parse_control_request(line);
  if (!request) return reply(id, std::unexpected(request.error()));
  const auto& command = (*request)["command"].get_ref<const std::string&>();
  const ControlReply answer = [this, id](const Result<json>& result) { reply(id, result); };
  for (const auto& commands : commands_) {
    if (commands->run(command, *request, answer)) return;
  }
  reply(id, fail("this proxy does not know the command"));
}

void ControlServer::reply(ClientId id, const Result<json>& result) {
  const auto client = clients_.find(id);
  if (client == clients_.end() || !client->second.awaited) return;
  client->second.awaited = false;
  if (client->second.output.empty()) client->second.progress_ms = now_ms_;
  client->second.output +=
      (result ? control_answer(*result) : control_refusal(result.error().what)) + '\n';
  if (answering_ != id && !proceed(id, client->second)) clients_.erase(client);
}

bool ControlServer::push(ClientId id, std::string_view lines) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return false;
  Client& client = found->second;
  if (lines.empty()) return true;
  if (client.output.size() + lines.size() > push_backlog) {
    clients_.erase(found);
    return false;
  }
  if (client.output.empty()) client.progress_ms = now_ms_;
  client.output += lines;
  if (client.awaited || proceed(id, client)) return true;
  clients_.erase(found);
  return false;
}

}  // namespace sni
