#pragma once

// Everything that must be known of a connection while it lives and for its access line, whichever
// plane carries its bytes. The record outlives the connection's descriptors and its slot
// (net/flow/ledger.h keeps it). Listener and route are shared, so that a record keeps neither a
// configuration nor a routing table alive.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/config/config.h"
#include "core/route/attempt.h"
#include "core/route/route_table.h"
#include "core/session/session.h"

namespace sni {

// Who moves the bytes of an established connection.
enum class PlaneId : std::uint8_t { none, userspace, sockhash, packet };
inline constexpr std::size_t plane_ids = static_cast<std::size_t>(PlaneId::packet) + 1;
constexpr std::string_view to_string(PlaneId plane) {
  constexpr std::array<std::string_view, plane_ids> names{"", "userspace", "sockhash", "packet"};
  return names[static_cast<std::size_t>(plane)];
}

// The identity of a flow in an earlier process, which handed it to the kernel.
struct Predecessor {
  std::uint64_t run = 0;  // The process, for the flow's unique id.
  std::uint64_t serial = 0;
  std::string backend;  // As in its access line.
};

struct FlowRecord {
  std::uint64_t serial = 0;      // Unique for each connection of this process.
  std::uint64_t started_ms = 0;  // CLOCK_MONOTONIC.
  Endpoint client;
  // A proxy that announces its client; port 0: none. Equal to `client` until it has done so, and
  // for its own connections.
  Endpoint proxy;
  std::shared_ptr<const ListenerConfig> listener;
  RouteRef route;           // Empty: no route took the client.
  std::string server_name;  // As the client sent it; empty: none, or not parsed.
  // What is wrong with it or with the bytes before it, in static storage; empty: nothing.
  std::string_view hello_error;
  std::string alpn;  // The first protocol offered.
  std::uint16_t tls_version = 0;
  bool ech = false;
  PlaneId plane = PlaneId::none;            // none: it never had two connected sockets.
  const Backend* backend = nullptr;         // Of `route`: the last one tried.
  Endpoint backend_address;                 // Port 0: a UNIX socket, or no address was chosen.
  AttemptError error = AttemptError::none;  // Why it could not be reached.
  std::uint16_t attempts = 0;               // Connects begun.
  // Duration of the steps by the loop's clock, including failed tries.
  std::uint32_t resolve_ms = 0;
  std::uint32_t queue_ms = 0;
  std::uint32_t connect_ms = 0;
  std::shared_ptr<const Predecessor> earlier;  // Null: this process accepted it.

  // The other end of the client's socket.
  const Endpoint& peer() const { return proxy.port != 0 ? proxy : client; }
  // Lists and limits of sources apply to clients, not to a trusted proxy.
  bool is_of_proxy() const { return proxy.port != 0 && client == proxy; }
};

// How it ended.
struct FlowEnd {
  EndReason reason = EndReason::none;
  std::uint64_t to_backend = 0;  // Bytes received from one side and sent to the other;
  std::uint64_t to_client = 0;   // our own answers are not counted.
};

}  // namespace sni
