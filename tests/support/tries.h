#pragma once

// A TargetList used as by a connection, but without a network.

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/route/backend.h"
#include "net/connect/target.h"

namespace sni::test {

using Next = TargetList::Next;

inline IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}
inline Endpoint endpoint(std::string_view text) {
  return parse_endpoint(text).value();
}

inline Resolution addresses(std::initializer_list<std::string_view> texts) {
  std::vector<IpAddress> list;
  for (const auto text : texts) list.push_back(ip(text));
  return Resolution::of(std::move(list));
}

inline Route route_to(std::initializer_list<std::string_view> backends,
                      Balance balance = Balance::first) {
  BackendTable table;
  RouteConfig config;
  config.names = {"a.example"};
  config.balance = balance;
  for (const auto text : backends) {
    auto backend = parse_backend(text);
    REQUIRE(backend);
    config.backends.push_back(*backend);
  }
  return make_route(config, table);
}

// A client that asked for `requested`, with the backends of its route.
struct Tries {
  Tries(std::initializer_list<std::string_view> backends, std::string_view requested)
      : route(route_to(backends)) {
    targets.start(route, requested, {});
  }
  TargetContext context() { return {.board = board, .log = log, .changes = log, .now_ms = now_ms}; }
  Next next() { return targets.next(policy, context()); }
  // Reports the result of a connect() to the target from next().
  void ended(int sys_errno) { ended(targets.target(), sys_errno); }
  void ended(const Target& target, int sys_errno) {
    targets.connected(target, sys_errno, 100, context());
  }
  const Backend& latest() const { return targets.backend_of(targets.latest()); }
  void silence(const Endpoint& silent) { board.add(board.id_of(silent), true, now_ms, now_ms); }

  // A proxy that listens on 192.0.2.1:443 of the own address 192.0.2.1.
  std::vector<ListenerEndpoint> listeners{{.endpoint = endpoint("192.0.2.1:443")}};
  std::vector<IpAddress> own_addresses{ip("192.0.2.1")};
  ForwardPolicy policy{.listeners = listeners, .own_addresses = own_addresses};
  Route route;
  EndpointBoard board{{1, 2}};
  LogGate log{20};
  std::uint64_t now_ms = 1000;
  TargetList targets;
};

}  // namespace sni::test
