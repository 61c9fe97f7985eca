#pragma once

// Paths of UNIX sockets in the kernel's form, and our own that listen.

#include <sys/socket.h>
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

// Makes a nonblocking socket that is bound to the path and does not listen yet, so that nobody can
// connect before the owner has set the mode of the file; until then only this process's user may. A
// stale socket is replaced. Errors begin with `act`; if a process accepts connections there, the
// error says that `other` has the path.
Result<UniqueFd> bind_unix(const std::string& path, const std::string& act, const char* other);

}  // namespace sni
