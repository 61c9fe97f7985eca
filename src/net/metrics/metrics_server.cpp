#include "net/metrics/metrics_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/address/address.h"
#include "core/limits.h"
#include "net/control/control_address.h"
#include "net/interface_index.h"
#include "net/socket.h"

namespace sni {
namespace {

constexpr std::string_view unix_prefix = "unix:";
constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";
// The listener's id in epoll; clients have ids from 1 on.
constexpr std::uint64_t metrics_listener = 0;
constexpr int metrics_backlog = 64;

Result<UniqueFd> open_tcp(const std::string& text) {
  const std::string act = "cannot serve metrics on " + text;
  const auto address = parse_endpoint(text, interface_index);
  if (!address) return fail(act + ": it is not an address and port");
  sockaddr_storage storage{};
  const socklen_t size = to_sockaddr(*address, storage);
  UniqueFd fd =
      UniqueFd::adopt(socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!fd || bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    return fail_sys(act, errno);
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::listen(const std::string& address,
                                                             MetricsSource& source,
                                                             std::size_t clients_max) {
  auto server = std::unique_ptr<MetricsServer>(new MetricsServer(source, clients_max));
  if (auto opened = server->open(address); !opened) return std::unexpected(opened.error());
  return server;
}

MetricsServer::~MetricsServer() {
  if (!path_.empty()) unlink(path_.c_str());
}

Result<void> MetricsServer::open(const std::string& address) {
  auto listener = address.starts_with(unix_prefix) ? open_unix(address.substr(unix_prefix.size()))
                                                   : open_tcp(address);
  if (!listener) return std::unexpected(listener.error());
  listener_ = std::move(*listener);
  epoll_ = UniqueFd::adopt(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.u64 = metrics_listener}};
  if (::listen(listener_.get(), metrics_backlog) != 0 || !epoll_ ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) != 0) {
    return fail_sys("cannot serve metrics on " + address, errno);
  }
  return {};
}

Result<UniqueFd> MetricsServer::open_unix(const std::string& path) {
  const std::string act = "cannot serve metrics on " + path;
  auto fd = bind_unix(path, act, "another program");
  if (!fd) return fd;
  path_ = path;
  // bind() applies the umask to the mode; nobody can connect before listen().
  if (chmod(path.c_str(), 0660) != 0) return fail_sys(act, errno);
  return fd;
}

bool MetricsServer::is_late(const Client& client, std::uint64_t now_ms) {
  return client.waits && now_ms >= client.progress_ms + limits::scrape_timeout_ms;
}

std::optional<std::uint64_t> MetricsServer::deadline_ms() const {
  std::optional<std::uint64_t> first;
  for (const auto& [id, client] : clients_) {
    if (!client.waits) continue;
    const std::uint64_t due = client.progress_ms + limits::scrape_timeout_ms;
    first = std::min(first.value_or(due), due);
  }
  return first;
}

void MetricsServer::dispatch(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  std::array<epoll_event, limits::scrape_clients_max + 1> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const ClientId id = event.data.u64;  // A copy: epoll_event is packed.
    if (id == metrics_listener) {
      accept_clients();
      continue;
    }
    const auto client = clients_.find(id);
    if (client == clients_.end()) continue;
    if (!serve(id, client->second, event.events)) clients_.erase(client);
  }
  std::erase_if(clients_, [now_ms](const auto& each) { return is_late(each.second, now_ms); });
}

void MetricsServer::accept_clients() {
  for (int taken = 0; taken < metrics_backlog; ++taken) {
    UniqueFd fd =
        UniqueFd::adopt(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    // The oldest client is dropped, so that forgotten ones cannot lock the scraper out.
    if (clients_.size() >= clients_max_) clients_.erase(clients_.begin());
    const ClientId id = ++last_id_;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) continue;
    Client& client = clients_[id];
    client.fd = std::move(fd);
    client.progress_ms = now_ms_;
  }
}

// False: the client is to be closed. One request a turn: others wait too.
bool MetricsServer::serve(ClientId id, Client& client, std::uint32_t events) {
  // While its metrics are pending, epoll only reports that it hung up.
  if (client.awaited) return (events & (EPOLLHUP | EPOLLERR)) == 0;
  if (client.output.empty() && !take_request(id, client)) return false;
  return send_answer(client) && watch(id, client);
}

bool MetricsServer::take_request(ClientId id, Client& client) {
  if (!receive(client)) return false;
  const auto request = parse_http_request(client.input);
  if (!request) {
    client.waits = client.waits || !client.input.empty();
    if (client.input.size() < http_request_max) return true;
    client.output = http_answer("431 Request Header Fields Too Large", text_type, "", false, false);
    client.ending = true;
  } else {
    // Pipelining is not supported: one client must not request much at once.
    client.ending = !request->keep_alive || client.input.size() > request->length;
    client.input.clear();
    client.head = request->head;
    const bool metrics = request->fault == HttpRequest::Fault::none && request->path == "/metrics";
    if (metrics) {
      start_metrics(id, client);
    } else {
      client.output = answer(*request);
    }
  }
  client.waits = !client.awaited;
  client.progress_ms = now_ms_;
  return true;
}

bool MetricsServer::send_answer(Client& client) {
  if (client.awaited || client.output.empty()) return true;
  if (!flush(client)) return false;
  if (!client.output.empty()) return true;
  client.waits = false;
  return !client.ending;
}

bool MetricsServer::watch(ClientId id, const Client& client) const {
  const std::uint32_t wanted = client.awaited ? 0U : client.output.empty() ? EPOLLIN : EPOLLOUT;
  epoll_event event{.events = wanted, .data = {.u64 = id}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.fd.get(), &event) == 0;
}

void MetricsServer::start_metrics(ClientId id, Client& client) {
  client.awaited = true;
  serving_ = id;
  source_.metrics([this, id](const std::string& text) { finish_metrics(id, text); });
  serving_ = 0;
}

// The client may have left meanwhile.
void MetricsServer::finish_metrics(ClientId id, const std::string& text) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || !found->second.awaited) return;
  Client& client = found->second;
  client.awaited = false;
  client.waits = true;
  client.progress_ms = now_ms_;
  client.output = http_answer("200 OK", metrics_type, text, client.head, !client.ending);
  if (serving_ == id) return;
  if (!send_answer(client) || !watch(id, client)) clients_.erase(found);
}

bool MetricsServer::receive(Client& client) const {
  std::array<char, 4096> bytes;
  const ssize_t size = recv(client.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  // The time limit of the head starts here.
  if (client.input.empty()) client.progress_ms = now_ms_;
  client.input.append(bytes.data(), static_cast<std::size_t>(size));
  return true;
}

bool MetricsServer::flush(Client& client) const {
  const ssize_t size =
      send(client.fd.get(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  client.output.erase(0, static_cast<std::size_t>(size));
  client.progress_ms = now_ms_;
  return true;
}

std::string MetricsServer::answer(const HttpRequest& request) const {
  const auto text = [&request](std::string_view status, std::string_view body) {
    return http_answer(status, text_type, body, request.head, request.keep_alive);
  };
  switch (request.fault) {
    case HttpRequest::Fault::none:
      break;
    case HttpRequest::Fault::malformed:
      return text("400 Bad Request", "this is no HTTP request\n");
    case HttpRequest::Fault::method:
      return text("405 Method Not Allowed", "GET and HEAD are served\n");
    case HttpRequest::Fault::version:
      return text("505 HTTP Version Not Supported", "HTTP/1.0 and 1.1 are served\n");
  }
  if (request.path == "/healthz") return text("200 OK", "ok\n");
  if (request.path == "/readyz") {
    return source_.ready() ? text("200 OK", "ready\n")
                           : text("503 Service Unavailable", "draining\n");
  }
  return text("404 Not Found", "there are /metrics, /healthz and /readyz\n");
}

}  // namespace sni
