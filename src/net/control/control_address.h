#pragma once

// Paths of UNIX sockets that we listen on, as the kernel takes them.

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

// A non-blocking socket that is bound there and does not listen yet, so that nobody can connect
// before its file has the mode that its owner gives it: it is the process's own until then. One that
// a process left behind is replaced; an error begins with `act`, and says that `other` has it where
// somebody accepts connections there.
Result<UniqueFd> bind_unix(const std::string& path, const std::string& act, const char* other);

}  // namespace sni
