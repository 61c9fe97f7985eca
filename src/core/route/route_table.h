#pragma once

// Finds the route for a listener, a name and an ALPN offer. A name is looked up as it is, then by
// its suffixes from the longest to the shortest ("*.example.com" matches one or more labels), then
// as "*". A client without a name is looked up as "-", then as "*". Each is one probe of one hash
// table, so the cost of a lookup is the number of labels in the name (127 at most), not the number
// of routes. Regular expressions are tried before "*", one after the other in the order of the
// file. They cost nothing on a listener without any, or for a name that is found before them.
//
// A route with `alpn` takes only clients that offer one of its protocols, and precedes routes of
// the same name without `alpn`; otherwise the order of the file decides. If no route of a name
// takes the client, the next suffix is tried.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/config/config.h"
#include "core/route/backend_table.h"
#include "core/route/balancer.h"
#include "core/route/name_regex.h"
#include "core/route/route_access.h"

namespace sni {

// A SOCKS5 server through which routes reach their backends.
struct Upstream {
  std::string name;
  BackendRef backend;  // The server itself.
  SocksLogin login;
};

// A route in the form that connections use. They share it, so that none keeps a whole configuration
// alive.
struct Route {
  RouteConfig config;                         // Without backends,
  std::vector<BackendRef> backends;           // which are here, backups last.
  std::size_t primaries = 0;                  // How many are not backups.
  std::unique_ptr<const Balancer> balancer;   // Null: they are tried in their order.
  std::shared_ptr<const Upstream> upstream;   // The way to them; null: they are reached directly.
  std::vector<NameRegex> expressions;         // Its names that are expressions.
  std::unique_ptr<const RouteAccess> access;  // Null: every source is served.
  std::shared_ptr<RouteLoad> load;            // Its connections, if they are limited.
  // Parallel to `backends`; empty: all have that of `config`.
  std::vector<ProxyForm> proxy_forms;
  // The form for this one of `backends`; for a backend that is not one of them, that of `config`.
  const ProxyForm& send_proxy(const Backend* backend) const;
  // The host of a Backend::Kind::captured_name for this server name; empty: no match.
  std::string captured_host(const Backend& backend, std::string_view server_name) const;
};
using RouteRef = std::shared_ptr<const Route>;

Route make_route(const RouteConfig& config, BackendTable& backends);

class RouteTable {
 public:
  // Copies the routes: the table outlives the Config.
  RouteTable(const Config& config, BackendTable& backends);
  RouteTable(const RouteTable&) = delete;  // The keys are views into routes_.
  RouteTable& operator=(const RouteTable&) = delete;
  RouteTable(RouteTable&&) = default;
  RouteTable& operator=(RouteTable&&) = default;

  // `listener` is an index into Config::listeners, `name` lower case without trailing dot (empty:
  // no name), `alpn_list` a ProtocolNameList as in FirstFlight. Only expressions allocate. A
  // connection that keeps the route keeps it alive after the table; empty: no route takes this
  // client.
  const RouteRef& find(std::uint32_t listener, std::string_view name,
                       std::span<const std::uint8_t> alpn_list) const noexcept;

  // In the order of the configuration.
  std::span<const RouteRef> routes() const { return routes_; }
  // Replaces the limits of all routes' connections, also of earlier tables, by those of this table.
  // Returns whether some route is limited now that was not: its connections are to be counted.
  bool bound_connections(const BackendTable& backends) const;
  // The most keys in one hash bucket: the highest number of comparisons of one probe.
  std::size_t probe_cost_max() const;

 private:
  enum class Match : std::uint8_t { exact, suffix, nobody, any };

  struct Key {
    std::uint32_t listener;
    Match match;
    std::string_view name;  // Match::suffix: without its "*.". nobody, any: empty.
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  using Candidates = std::vector<std::uint32_t>;  // Indices into routes_, first choice first.

  static Key key_of(std::uint32_t listener, std::string_view route_name);
  void add(std::uint32_t listener, std::uint32_t route);
  const RouteRef& probe(const Key& key, std::span<const std::uint8_t> alpn_list) const noexcept;
  const RouteRef& search(std::uint32_t listener, std::string_view name,
                         std::span<const std::uint8_t> alpn_list) const noexcept;
  void list_expressions(std::uint32_t listener, std::uint32_t route);

  std::vector<RouteRef> routes_;
  std::unordered_map<Key, Candidates, KeyHash> candidates_;
  std::vector<Candidates> searched_;  // By listener: routes with expressions, in the file's order.
};

// A name of a route that never matches: on one of the route's listeners, an earlier route of the
// same name takes every client that this one could.
struct HiddenName {
  std::size_t route;  // Indices into the routes given.
  std::size_t name;   // Index into that route's names.
  std::size_t by;     // The earlier route, or the same one if it has the name twice.
  bool operator==(const HiddenName&) const = default;
};

std::vector<HiddenName> hidden_names(std::span<const RouteConfig> routes);

}  // namespace sni
