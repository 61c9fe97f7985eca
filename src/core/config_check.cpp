#include "core/config_check.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/limits.h"

namespace sni {
namespace {

using ListenerSet = std::uint64_t;  // Bit i: config.listeners[i].

std::string line_of(Position position) {
  return "line " + std::to_string(position.line);
}

// What the routes so far have taken: per name and protocol (empty: any) the listeners on which a
// client that asks so is served, and by which route. The first match wins, as in the route table.
class TakenNames {
 public:
  struct Taken {
    ListenerSet listeners;
    Position position;  // Of the name in its route.
  };

  // The earlier entry that leaves `name` nothing to do on one of `listeners`, or nullptr.
  const Taken* hiding(std::string_view name, const std::vector<std::string>& alpn,
                      ListenerSet listeners) const {
    if (const Taken* any = find(name, "", listeners)) return any;
    if (alpn.empty()) return nullptr;
    for (const std::string& protocol : alpn) listeners &= listeners_of(name, protocol);
    return find(name, alpn.front(), listeners);
  }

  void take(std::string_view name, const std::vector<std::string>& alpn, Taken taken) {
    if (alpn.empty()) return take_one(name, "", taken);
    for (const std::string& protocol : alpn) take_one(name, protocol, taken);
  }

 private:
  static std::string key(std::string_view name, std::string_view protocol) {
    std::string key(name);
    key += '\0';  // No name has one, so keys are unambiguous.
    return key.append(protocol);
  }

  const Taken* find(std::string_view name, std::string_view protocol, ListenerSet listeners) const {
    const auto entry = taken_.find(key(name, protocol));
    if (entry == taken_.end()) return nullptr;
    for (const Taken& taken : entry->second) {
      if ((taken.listeners & listeners) != 0) return &taken;
    }
    return nullptr;
  }

  ListenerSet listeners_of(std::string_view name, std::string_view protocol) const {
    const auto entry = taken_.find(key(name, protocol));
    ListenerSet all = 0;
    if (entry == taken_.end()) return all;
    for (const Taken& taken : entry->second) all |= taken.listeners;
    return all;
  }

  // Sets of one key are disjoint, so a key has at most as many entries as there are listeners.
  void take_one(std::string_view name, std::string_view protocol, Taken taken) {
    taken.listeners &= ~listeners_of(name, protocol);
    if (taken.listeners != 0) taken_[key(name, protocol)].push_back(taken);
  }

  std::unordered_map<std::string, std::vector<Taken>> taken_;
};

bool is_any(const Endpoint& endpoint) {
  return address_scope(endpoint.ip) == AddressScope::unspecified;
}

// Does a connection to `target` arrive at `listener`? A listener on all addresses takes those of
// loopback for certain; which others are the host's own, only the host knows.
bool accepts(const ListenerConfig& listener, const Endpoint& target) {
  if (listener.address == target) return true;
  if (!is_any(listener.address) || listener.address.port != target.port) return false;
  if (address_scope(target.ip) != AddressScope::loopback) return false;
  if (listener.address.ip.is_v4()) return target.ip.is_v4();
  return !target.ip.is_v4() || !listener.v6only;
}

class ConfigCheck {
 public:
  ConfigCheck(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics)
      : config_(config), places_(places), diagnostics_(diagnostics) {}

  void run() {
    check_presence();
    check_listeners();
    if (config_.listeners.size() <= limits::listeners_max) check_routes();
    check_numbers();
  }

 private:
  void check_presence();
  void check_listeners();
  void check_listener_pair(std::size_t earlier, std::size_t later);
  void check_routes();
  ListenerSet check_route_listeners(std::size_t index);
  void check_backends(std::size_t index);
  void check_alpn(std::size_t index, ListenerSet listeners);
  void check_hidden(std::size_t index, ListenerSet listeners, TakenNames& taken);
  void check_numbers();

  void error(Position position, std::string message) {
    diagnostics_.error(position, std::move(message));
  }

  const Config& config_;
  const ConfigPlaces& places_;
  DiagnosticList& diagnostics_;
};

void ConfigCheck::check_presence() {
  if (config_.listeners.empty()) {
    error({}, "there is no listener; add a [[listener]] with a name and an address");
  }
  if (config_.routes.empty()) {
    error({}, "there is no route; add a [[route]] with names and a backend");
  }
}

void ConfigCheck::check_listeners() {
  const std::vector<ListenerConfig>& listeners = config_.listeners;
  if (listeners.size() > limits::listeners_max) {
    return error(places_.listeners[limits::listeners_max].table,
                 "more than " + std::to_string(limits::listeners_max) + " listeners");
  }
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    if (listeners[i].v6only && listeners[i].address.ip.is_v4()) {
      error(places_.listeners[i].address,
            "'v6only' in [[listener]] does not go with the IPv4 "
            "address " +
                listeners[i].address.to_string());
    }
    for (std::size_t j = 0; j < i; ++j) check_listener_pair(j, i);
  }
}

void ConfigCheck::check_listener_pair(std::size_t earlier, std::size_t later) {
  const ListenerConfig& first = config_.listeners[earlier];
  const ListenerConfig& second = config_.listeners[later];
  const ConfigPlaces::Listener& first_place = places_.listeners[earlier];
  const ConfigPlaces::Listener& second_place = places_.listeners[later];
  if (!first.name.empty() && first.name == second.name) {
    error(second_place.name, "listener " + quoted(second.name) + " is already defined in " +
                                 line_of(first_place.name));
  }
  // Port 0 is that of an address that could not be read.
  if (first.address.port == 0 || first.address.port != second.address.port) return;
  if (first.address == second.address) {
    return error(second_place.address, "address " + second.address.to_string() +
                                           " is already that of the listener in " +
                                           line_of(first_place.address));
  }
  if (!is_any(first.address) || !is_any(second.address)) return;
  const ListenerConfig& v6 = first.address.ip.is_v4() ? second : first;
  if (v6.v6only) return;
  error(second_place.address, second.address.to_string() + " conflicts with " +
                                  first.address.to_string() + " in " +
                                  line_of(first_place.address) +
                                  ", since [::] takes IPv4 too; keep the [::] listener "
                                  "alone, or give it v6only = true");
}

void ConfigCheck::check_routes() {
  TakenNames taken;
  for (std::size_t i = 0; i < config_.routes.size(); ++i) {
    const ListenerSet listeners = check_route_listeners(i);
    check_backends(i);
    check_alpn(i, listeners);
    check_hidden(i, listeners, taken);
  }
}

ListenerSet ConfigCheck::check_route_listeners(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  if (route.listeners.empty() && !config_.listeners.empty()) {
    error(place.table,
          "[[route]] needs 'listeners', since there is no listener with protocol \"tls\"");
  }
  std::vector<std::string_view> names;
  for (const ListenerConfig& listener : config_.listeners) names.push_back(listener.name);
  // A listener whose name could not be read may be the one that is meant.
  const bool all_named = std::ranges::find(names, "") == names.end();
  ListenerSet listeners = 0;
  for (std::size_t i = 0; i < route.listeners.size(); ++i) {
    const auto found = std::ranges::find(names, route.listeners[i]);
    if (found != names.end()) {
      listeners |= ListenerSet{1} << (found - names.begin());
    } else if (all_named) {
      error(place.listeners[i], "unknown listener " + quoted(route.listeners[i]) + " in [[route]]" +
                                    did_you_mean(route.listeners[i], names));
    }
  }
  return listeners;
}

void ConfigCheck::check_backends(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  if (route.backends.size() > limits::route_backends_max) {
    error(place.backends[limits::route_backends_max],
          "more than " + std::to_string(limits::route_backends_max) + " backends in [[route]]");
  }
  bool dynamic = false;
  for (std::size_t i = 0; i < route.backends.size(); ++i) {
    const Backend& backend = route.backends[i];
    dynamic |= backend.kind == Backend::Kind::requested_name;
    Endpoint target = backend.endpoint;
    if (backend.kind == Backend::Kind::name && backend.host == "localhost") {
      target = {.ip = IpAddress::v4(127, 0, 0, 1), .port = backend.port};  // RFC 6761, 6.3.
    }
    const auto own = std::ranges::find_if(config_.listeners, [&](const ListenerConfig& listener) {
      return target.port != 0 && accepts(listener, target);
    });
    if (own != config_.listeners.end()) {
      error(place.backends[i], "backend " + quoted(backend.text) + " is the proxy's own listener " +
                                   quoted(own->name) + ", so connections would loop");
    }
  }
  if (route.allow_private && !dynamic && !route.backends.empty()) {
    diagnostics_.warning(place.allow_private,
                         "'allow_private' in [[route]] has no effect without a \"{name}\" backend");
  }
}

void ConfigCheck::check_alpn(std::size_t index, ListenerSet listeners) {
  const RouteConfig& route = config_.routes[index];
  if (route.alpn.empty()) return;
  const Position position = places_.routes[index].alpn;
  if (route.alpn.size() > limits::route_alpn_max) {
    error(position, "more than " + std::to_string(limits::route_alpn_max) +
                        " protocols in 'alpn' in [[route]]");
  }
  for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
    if ((listeners >> i & 1) == 0 || config_.listeners[i].protocol == Protocol::tls) continue;
    error(position, "'alpn' in [[route]] can never match on listener " +
                        quoted(config_.listeners[i].name) + ", whose protocol is \"http\"");
  }
}

void ConfigCheck::check_hidden(std::size_t index, ListenerSet listeners, TakenNames& taken) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  for (std::size_t i = 0; i < route.names.size(); ++i) {
    const std::string& name = route.names[i];
    if (const auto* earlier = taken.hiding(name, route.alpn, listeners)) {
      error(place.names[i], "name " + quoted(name) +
                                " in [[route]] is hidden by the same name in " +
                                line_of(earlier->position));
      continue;
    }
    taken.take(name, route.alpn, {.listeners = listeners, .position = place.names[i]});
  }
}

void ConfigCheck::check_numbers() {
  if (config_.dns.ttl_min > config_.dns.ttl_max) {
    error(places_.dns, "'ttl_min' in [dns] is greater than 'ttl_max'");
  }
  const LimitConfig& limits = config_.limits;
  if (limits.connections != 0 && limits.connections_per_source > limits.connections) {
    diagnostics_.warning(places_.limits,
                         "'connections_per_source' in [limits] has no effect, since it is greater "
                         "than 'connections'");
  }
  if (!config_.access.default_allow && config_.access.allow.empty()) {
    diagnostics_.warning(places_.access,
                         "nobody is served: [access] denies by default and allows no address");
  }
}

}  // namespace

void check_config(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics) {
  ConfigCheck(config, places, diagnostics).run();
}

}  // namespace sni
