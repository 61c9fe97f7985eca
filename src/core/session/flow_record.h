#pragma once

// What is to be known of a connection while it lives and in its last line, whoever carries its
// bytes: the record outlives the connection's descriptors and its slot (net/flow/ledger.h keeps
// it). Listener and route are shared, so that a record keeps neither a configuration nor a routing
// table alive.

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

// Of a flow that an earlier process handed to the kernel: how it was known there.
struct Predecessor {
  std::uint64_t run = 0;  // The process, for the flow's unique id.
  std::uint64_t serial = 0;
  std::string backend;  // As its access line would have named it.
};

struct FlowRecord {
  std::uint64_t serial = 0;      // One of its own for each connection of this process.
  std::uint64_t started_ms = 0;  // CLOCK_MONOTONIC.
  Endpoint client;
  // A proxy that tells whom it has accepted; port 0: none. The same as `client` until it has told,
  // and for connections of its own.
  Endpoint proxy;
  std::shared_ptr<const ListenerConfig> listener;
  RouteRef route;           // Empty: no route took the client.
  std::string server_name;  // As the client said it; empty: it named nobody, or is not understood.
  // What is wrong with it or with what came before it, in static storage; empty: nothing.
  std::string_view hello_error;
  std::string alpn;  // The first protocol offered.
  std::uint16_t tls_version = 0;
  bool ech = false;
  PlaneId plane = PlaneId::none;     // none: it never had two connected sockets.
  const Backend* backend = nullptr;  // Of `route`: the one that was tried last.
  Endpoint backend_address;  // Of it; port 0: a UNIX socket, or it did not come to an address.
  AttemptError error = AttemptError::none;  // Why it could not be reached.
  std::uint16_t attempts = 0;               // Connects that were begun.
  // How long its steps took, of the loop's clock, tries that failed among them.
  std::uint32_t resolve_ms = 0;
  std::uint32_t queue_ms = 0;
  std::uint32_t connect_ms = 0;
  std::shared_ptr<const Predecessor> earlier;  // Null: this process has accepted it.

  // The other end of the client's socket.
  const Endpoint& peer() const { return proxy.port != 0 ? proxy : client; }
  // Lists and limits of sources concern clients, and no proxy that is trusted.
  bool is_of_proxy() const { return proxy.port != 0 && client == proxy; }
};

// How it ended.
struct FlowEnd {
  EndReason reason = EndReason::none;
  std::uint64_t to_backend = 0;  // Bytes that came from one side and were sent to the other;
  std::uint64_t to_client = 0;   // an answer of our own is not counted.
};

}  // namespace sni
