#include "net/control/control_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "core/limits.h"
#include "core/unique_fd.h"
#include "net/control/control_address.h"
#include "net/control/control_socket.h"

namespace sni {

using nlohmann::json;

namespace {

// A connection with a request sent, and the bytes received so far.
struct Call {
  UniqueFd fd;
  std::string act;
  std::string text;

  // nullopt: there are no more.
  Result<std::optional<std::string>> line();
};

Result<Call> call(const std::string& path, json& request) {
  Call call{.fd = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
            .act = "cannot reach the proxy at " + path,
            .text = {}};
  const auto address = control_address(path);
  if (!address) return std::unexpected(address.error());
  const int fd = call.fd.get();
  const timeval wait{.tv_sec = limits::control_answer_s, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (!call.fd || connect(fd, as_sockaddr(*address), sizeof *address) != 0) {
    const bool absent = errno == ENOENT || errno == ECONNREFUSED;
    return fail_sys(call.act + (absent ? " (is it running?)" : ""), errno);
  }
  request["version"] = control_version;
  const std::string line = request.dump() + '\n';
  if (send(fd, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return fail_sys(call.act, errno);
  }
  return call;
}

Result<std::optional<std::string>> Call::line() {
  std::size_t seen = 0;
  for (;;) {
    const std::size_t end = text.find('\n', seen);
    if (end != std::string::npos) {
      std::string line = text.substr(0, end);
      text.erase(0, end + 1);
      return line;
    }
    seen = text.size();
    std::array<char, 65'536> bytes;
    const ssize_t size = recv(fd.get(), bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EAGAIN) {
      return fail(act + ": no answer within " + std::to_string(limits::control_answer_s) + " s");
    }
    if (size < 0) return fail_sys(act, errno);
    if (size == 0) return std::nullopt;
    if (text.size() > limits::control_answer_max) return fail(act + ": its answer broke off");
    text.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

Result<json> answer_of(Call& call) {
  const auto line = call.line();
  if (!line) return std::unexpected(line.error());
  if (!*line) return fail(call.act + ": its answer broke off");
  json answer = json::parse(**line, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("ok")) {
    return fail(call.act + ": it answered no JSON object");
  }
  if (answer["ok"] != true) {
    return fail(answer.value("error", "the proxy refused without a reason"));
  }
  if (!answer.contains("result")) return fail(call.act + ": its answer has no result");
  return std::move(answer["result"]);
}

}  // namespace

Result<json> control_call(const std::string& path, json request) {
  auto called = call(path, request);
  if (!called) return std::unexpected(called.error());
  return answer_of(*called);
}

Result<void> control_follow(const std::string& path, json request,
                            const std::function<void(const json&)>& look) {
  auto called = call(path, request);
  if (!called) return std::unexpected(called.error());
  if (const auto answer = answer_of(*called); !answer) return std::unexpected(answer.error());
  const timeval forever{};
  setsockopt(called->fd.get(), SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
  for (;;) {
    const auto line = called->line();
    if (!line) return std::unexpected(line.error());
    if (!*line) return {};
    look(json::parse(**line, nullptr, /*allow_exceptions=*/false));
  }
}

}  // namespace sni
