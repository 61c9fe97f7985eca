#pragma once

// The control socket's path as the kernel takes it.

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "core/error.h"

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

}  // namespace sni
