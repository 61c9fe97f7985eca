#include "net/control/control_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>

#include "core/limits.h"
#include "core/unique_fd.h"
#include "net/control/control_address.h"
#include "net/control/control_socket.h"

namespace sni {

using nlohmann::json;

Result<json> control_call(const std::string& path, json request) {
  const std::string act = "cannot reach the proxy at " + path;
  const auto address = control_address(path);
  if (!address) return std::unexpected(address.error());
  const UniqueFd fd = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval wait{.tv_sec = limits::control_answer_s, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
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
