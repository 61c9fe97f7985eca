#include "net/control/control.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/limits.h"

namespace sni {
namespace {

using nlohmann::json;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(path + " is too long for a UNIX socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Whether somebody accepts connections there.
bool is_served(const sockaddr_un& address) {
  const UniqueFd probe = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe && connect(probe.get(), as_sockaddr(address), sizeof address) == 0;
}

// Only a socket may be removed to make place: the path may be a typing error.
bool is_socket(const std::string& path) {
  struct stat status{};
  return lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::listen(const std::string& path) {
  auto server = std::unique_ptr<ControlServer>(new ControlServer(path));
  if (auto opened = server->open(); !opened) {
    server->path_.clear();
    return std::unexpected(opened.error());
  }
  return server;
}

Result<void> ControlServer::open() {
  const std::string act = "cannot open the control socket " + path_;
  const auto address = address_of(path_);
  if (!address) return std::unexpected(address.error());
  const std::string directory = path_.substr(0, path_.rfind('/'));
  if (!directory.empty() && mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return fail_sys(act + ": cannot make " + directory, errno);
  }
  if (is_served(*address)) return fail(act + ": another proxy listens there");
  if (is_socket(path_)) unlink(path_.c_str());

  listener_ = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener_) return fail_sys(act, errno);
  // bind() gives the file the mode of the socket (unix_bind_bsd in net/unix/af_unix.c), so there is
  // no moment in which others could open it.
  fchmod(listener_.get(), 0600);
  if (bind(listener_.get(), as_sockaddr(*address), sizeof *address) != 0)
    return fail_sys(act, errno);
  if (::listen(listener_.get(), limits::control_clients_max) != 0) return fail_sys(act, errno);

  epoll_ = UniqueFd::adopt(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_.get()}};
  if (!epoll_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event) != 0) {
    return fail_sys(act, errno);
  }
  return {};
}

ControlServer::~ControlServer() {
  if (!path_.empty()) unlink(path_.c_str());
}

void ControlServer::dispatch() {
  std::array<epoll_event, limits::control_clients_max + 1> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == listener_.get()) {
      accept_clients();
      continue;
    }
    const auto client = clients_.find(fd);
    if (client != clients_.end() && !serve(client->second)) clients_.erase(client);
  }
}

void ControlServer::accept_clients() {
  for (;;) {
    UniqueFd fd =
        UniqueFd::adopt(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    make_room();
    const int number = fd.get();
    epoll_event event{.events = EPOLLIN, .data = {.fd = number}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, number, &event) != 0) continue;
    Client& client = clients_[number];
    client.fd = std::move(fd);
    client.order = ++accepted_;
  }
}

// The oldest client gives way, so that forgotten ones cannot lock the operator out.
void ControlServer::make_room() {
  if (clients_.size() < limits::control_clients_max) return;
  clients_.erase(
      std::ranges::min_element(clients_, {}, [](const auto& entry) { return entry.second.order; }));
}

// False: the client is done with.
bool ControlServer::serve(Client& client) {
  if (client.output.empty() && !receive(client)) return false;
  do {
    answer_lines(client);
    if (!flush(client)) return false;
  } while (client.output.empty() && client.input.find('\n') != std::string::npos);
  if (client.output.empty() && client.ending) return false;
  epoll_event event{.events = client.output.empty() ? EPOLLIN : EPOLLOUT,
                    .data = {.fd = client.fd.get()}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.fd.get(), &event) == 0;
}

bool ControlServer::receive(Client& client) {
  std::array<char, 4096> bytes;
  const ssize_t size = recv(client.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) client.ending = true;
  client.input.append(bytes.data(), static_cast<std::size_t>(size));
  return true;
}

// Answers one line after the other until something is left to write.
void ControlServer::answer_lines(Client& client) {
  while (client.output.empty()) {
    const std::size_t end = client.input.find('\n');
    if (end == std::string::npos) break;
    client.output = answer(std::string_view(client.input).substr(0, end)) + '\n';
    client.input.erase(0, end + 1);
  }
  if (client.output.empty() && client.input.size() > limits::control_request_max) {
    client.output = control_refusal("the request is too long") + '\n';
    client.input.clear();
    client.ending = true;
  }
}

bool ControlServer::flush(Client& client) {
  while (!client.output.empty()) {
    const ssize_t size =
        send(client.fd.get(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    client.output.erase(0, static_cast<std::size_t>(size));
  }
  return true;
}

std::string ControlServer::answer(std::string_view line) const {
  const auto request = parse_control_request(line);
  if (!request) return control_refusal(request.error().what);
  const auto& command = (*request)["command"].get_ref<const std::string&>();
  for (const auto& commands : commands_) {
    auto result = commands->run(command, *request);
    if (!result) continue;
    if (!*result) return control_refusal(result->error().what);
    return control_answer(std::move(**result));
  }
  return control_refusal("this proxy does not know the command");
}

Result<json> control_call(const std::string& path, json request) {
  const std::string act = "cannot reach the proxy at " + path;
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  const UniqueFd fd = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = limits::control_answer_s, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (!fd || connect(fd.get(), as_sockaddr(*address), sizeof *address) != 0) {
    const bool absent = errno == ENOENT || errno == ECONNREFUSED;
    return fail_sys(act + (absent ? " (is it running?)" : ""), errno);
  }
  request["version"] = control_version;
  const std::string line = request.dump() + '\n';
  if (send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return fail_sys(act, errno);
  }

  std::string text;
  while (!text.ends_with('\n')) {
    std::array<char, 65'536> bytes;
    const ssize_t size = recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return fail_sys(act, errno);
    if (size == 0 || text.size() > limits::control_answer_max) {
      return fail(act + ": its answer broke off");
    }
    text.append(bytes.data(), static_cast<std::size_t>(size));
  }
  json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("ok"))
    return fail(act + ": it answered no JSON object");
  if (answer["ok"] == true) return std::move(answer["result"]);
  return fail(answer.value("error", "the proxy refused without a reason"));
}

}  // namespace sni
