#pragma once

// Why one attempt to reach a backend failed, in words for the operator. The access line shows the
// one of the backend that it names.

#include <cstdint>

namespace sni {

enum class AttemptError : std::uint8_t {
  none,
  // The name.
  name_unknown,         // It does not exist, or has no address of the families that are asked for.
  resolver_silent,      // No resolver answered in time.
  resolver_failed,      // Resolvers answered with a failure.
  resolver_overloaded,  // Too many names are being asked for.
  no_name,              // A "{name}" backend, and a client that names nobody.
  disabled,             // By command, and there is no other backend.
  full,                 // It has max_connections, and so many wait for it as may.
  queue_timeout,        // As full, and it had no place in time.
  // The address.
  forbidden,
  // The connection.
  refused,
  no_answer,  // Not within timeouts.connect, or another one was faster.
  host_unreachable,
  network_unreachable,
  reset,
  ended,          // Without a byte.
  no_file,        // A UNIX socket that is not there,
  not_permitted,  // or not for us; also a firewall on this host.
  no_local_port,
  no_descriptor,
  no_source,  // The local address that the route binds to is not there, or not ours.
  // The SOCKS5 server, which was reached, or what it says of the backend.
  upstream_closed,
  upstream_protocol,
  upstream_method,
  upstream_login,
  upstream_failed,
  upstream_forbids,
  upstream_refused,
  upstream_host_unreachable,
  upstream_network_unreachable,
  upstream_unsupported,
  other,
};

// A few words without a full stop, lower case; "" for none.
const char* to_string(AttemptError error);

}  // namespace sni
