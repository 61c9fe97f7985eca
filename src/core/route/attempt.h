#pragma once

// Why one attempt to reach a backend failed, in words for the operator. The access line shows the
// reason for the backend that it names.

#include <cstdint>

namespace sni {

enum class AttemptError : std::uint8_t {
  none,
  // The name.
  name_unknown,         // It does not exist.
  no_address,           // It has no address of the wanted families, or the service no target.
  resolver_silent,      // No resolver answered in time.
  resolver_failed,      // Resolvers answered with a failure.
  resolver_overloaded,  // Too many questions are pending.
  no_name,              // A "{name}" backend, and a client without a name.
  disabled,             // By command, and there is no other backend.
  full,                 // It has max_connections, and its queue is full.
  queue_timeout,        // As full, and no place became free in time.
  setup_timeout,        // timeouts.setup was over before anything was tried.
  // The address.
  forbidden,
  no_interface,  // Link-local, by DNS, which cannot say the interface.
  // The connection.
  refused,
  no_answer,  // Not within timeouts.connect, or another attempt was faster.
  host_unreachable,
  network_unreachable,
  reset,
  ended,          // Before it sent a byte.
  no_file,        // A UNIX socket that does not exist,
  not_permitted,  // or that we may not use; also a firewall on this host.
  no_local_port,
  no_descriptor,
  no_source,  // The local address that the route binds to is not an address of this host.
  // The SOCKS5 server, once reached, or its reply about the backend.
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

// A few lower-case words without a full stop; "" for none.
const char* to_string(AttemptError error);

}  // namespace sni
