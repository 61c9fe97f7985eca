#include "net/connect/source.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "net/socket.h"

// Linux 6.3.
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

namespace sni {
namespace {

Result<void> use_interface(int fd, const std::string& interface) {
  if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                 static_cast<socklen_t>(interface.size())) == 0) {
    return {};
  }
  return fail_sys("cannot bind to interface " + interface +
                      " (there is none of that name now, or "
                      "CAP_NET_RAW is missing)",
                  errno);
}

Result<void> use_address(int fd, const IpAddress& address) {
  sockaddr_storage local;
  const socklen_t length = to_sockaddr({.ip = address}, local);
  // It needs no privilege, and also works for IPv6 sockets (inet6_bind).
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&local), length) == 0) return {};
  return fail_sys("cannot bind to " + address.to_string() +
                      (errno == EADDRNOTAVAIL ? " (this host has no such address)" : ""),
                  errno);
}

// The client's address may be of the other family, which cannot be used.
Result<void> use_client(int fd, int family, const IpAddress& client) {
  if (client.is_v4() != (family == AF_INET)) {
    return fail_sys(
        "cannot connect from " + client.to_string() + ", since the backend is of the other family",
        EAFNOSUPPORT);
  }
  const bool allowed = family == AF_INET ? set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1)
                                         : set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
  if (!allowed) {
    return fail_sys("cannot connect from a client's address (CAP_NET_ADMIN is missing)", errno);
  }
  return use_address(fd, client);
}

}  // namespace

Result<void> set_source(int fd, int family, const SourceConfig& source, const IpAddress& client) {
  if (!source.interface.empty()) {
    if (auto done = use_interface(fd, source.interface); !done) return done;
  }
  if (source.mark != 0 &&
      setsockopt(fd, SOL_SOCKET, SO_MARK, &source.mark, sizeof source.mark) != 0) {
    return fail_sys("cannot mark a connection (CAP_NET_ADMIN is missing)", errno);
  }
  const std::uint32_t ports = std::uint32_t{source.port_last} << 16 | source.port_first;
  if (ports != 0 && setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &ports, sizeof ports) != 0) {
    return fail_sys("cannot keep a connection to source_ports (they take Linux 6.3)", errno);
  }
  if (source.transparent) return use_client(fd, family, client);
  const auto address = std::ranges::find_if(source.addresses, [family](const IpAddress& each) {
    return each.is_v4() == (family == AF_INET);
  });
  return address == source.addresses.end() ? Result<void>{} : use_address(fd, *address);
}

}  // namespace sni
