#include "net/control/control_address.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace sni {
namespace {

bool is_served(const sockaddr_un& address) {
  const UniqueFd probe = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe && connect(probe.get(), as_sockaddr(address), sizeof address) == 0;
}

// Only a socket may be replaced: the path may be a typing error.
bool is_socket(const std::string& path) {
  struct stat status{};
  return lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

Result<UniqueFd> bind_unix(const std::string& path, const std::string& act, const char* other) {
  const auto address = control_address(path);
  if (!address) return std::unexpected(address.error());
  if (is_served(*address)) return fail(act + ": " + other + " listens there");
  if (is_socket(path)) {
    unlink(path.c_str());
  } else if (access(path.c_str(), F_OK) == 0) {
    return fail(act + ": there is a file of that name which is no socket");
  }
  UniqueFd fd = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_sys(act, errno);
  // bind() gives the file the mode of the socket (unix_bind_bsd in net/unix/af_unix.c), so there is
  // no moment in which others could open it.
  fchmod(fd.get(), 0600);
  if (bind(fd.get(), as_sockaddr(*address), sizeof *address) != 0) return fail_sys(act, errno);
  return fd;
}

}  // namespace sni
