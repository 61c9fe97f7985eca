#pragma once

// Paths of UNIX sockets that we listen on, as the kernel takes them.

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

inline Result<sockaddr_un> control_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(path + " is too long for a UNIX socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

inline const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Whether somebody accepts connections there.
inline bool is_served(const sockaddr_un& address) {
  const UniqueFd probe = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe && connect(probe.get(), as_sockaddr(address), sizeof address) == 0;
}

// Only a socket may be removed to make place: the path may be a typing error.
inline bool is_socket(const std::string& path) {
  struct stat status{};
  return lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace sni
