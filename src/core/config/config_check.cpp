#include "core/config/config_check.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "core/config/config_check_clients.h"
#include "core/config/config_check_ways.h"
#include "core/limits.h"
#include "core/route/forward_policy.h"
#include "core/route/route_table.h"

namespace sni {
namespace {

bool is_any(const Endpoint& endpoint) {
  return endpoint.ip == IpAddress{} || endpoint.ip == IpAddress::v4(0, 0, 0, 0);
}

// Whether the listener accepts connections to every address, including this one.
bool takes(const ListenerConfig& listener, const IpAddress& address) {
  return is_any(listener.address) &&
         takes_family_of({.endpoint = listener.address, .v6only = listener.v6only}, address);
}

class ConfigCheck {
 public:
  ConfigCheck(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics)
      : config_(config), places_(places), diagnostics_(diagnostics) {}

  void run() {
    check_presence();
    check_accounts();
    check_listeners();
    if (config_.listeners.size() <= limits::listeners_max) check_routes();
    check_clients(config_, places_, diagnostics_);
    check_ways(config_, places_, diagnostics_);
    check_metrics();
    check_numbers();
  }

 private:
  void check_presence();
  void check_accounts();
  void check_listeners();
  void check_listener_pair(std::size_t earlier, std::size_t later);
  void check_routes();
  void check_route_listeners(std::size_t index);
  void check_backends(std::size_t index, std::span<const ListenerEndpoint> own);
  void check_balance(std::size_t index);
  void check_alpn(std::size_t index);
  void check_outcome(std::size_t index);
  void check_metrics();
  void check_numbers();

  void error(Position position, std::string message) {
    diagnostics_.error(position, std::move(message));
  }
  std::string line_of(Position position, Position seen_from) const {
    return diagnostics_.line_of(position, seen_from);
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

void ConfigCheck::check_accounts() {
  if (config_.group.empty() || !config_.user.empty()) return;
  error(places_.accounts.group,
        "'group' in [server] is the group of 'user', which is not set; set it as well");
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
    error(second_place.name, "listener " + in_quotes(second.name) + " is already defined in " +
                                 line_of(first_place.name, second_place.name));
  }
  // Port 0 means that the address could not be parsed.
  if (first.address.port == 0 || first.address.port != second.address.port) return;
  if (first.address == second.address) {
    return error(second_place.address, "address " + second.address.to_string() +
                                           " is already that of the listener in " +
                                           line_of(first_place.address, second_place.address));
  }
  const bool overlap = takes(first, second.address.ip) || takes(second, first.address.ip);
  if (!overlap) return;
  std::string mistake = second.address.to_string() + " conflicts with " +
                        first.address.to_string() + " in " +
                        line_of(first_place.address, second_place.address);
  mistake += is_any(first.address) && is_any(second.address)
                 ? ", since [::] takes IPv4 too; keep the [::] listener alone, or give it v6only = "
                   "true"
                 : ", since one of them takes the connections to every address of that port";
  error(second_place.address, std::move(mistake));
}

void ConfigCheck::check_routes() {
  std::vector<ListenerEndpoint> own;
  for (const ListenerConfig& listener : config_.listeners) {
    own.push_back({.endpoint = listener.address, .v6only = listener.v6only});
  }
  for (std::size_t i = 0; i < config_.routes.size(); ++i) {
    check_route_listeners(i);
    check_backends(i, own);
    check_balance(i);
    check_alpn(i);
    check_outcome(i);
  }
  for (const HiddenName& hidden : hidden_names(config_.routes)) {
    const std::string& name = config_.routes[hidden.route].names[hidden.name];
    const Position position = places_.routes[hidden.route].names[hidden.name];
    if (hidden.by == hidden.route) {
      error(position, "name " + in_quotes(name) + " is given twice in [[route]]");
    } else {
      error(position, "name " + in_quotes(name) + " in [[route]] is hidden by the [[route]] in " +
                          line_of(places_.routes[hidden.by].table, position) +
                          ", which has it too");
    }
  }
}

void ConfigCheck::check_route_listeners(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  if (route.listeners.empty() && !config_.listeners.empty()) {
    error(place.table,
          "[[route]] needs 'listeners', since there is no listener with protocol \"tls\"");
  }
  std::vector<std::string_view> names;
  for (const ListenerConfig& listener : config_.listeners) names.push_back(listener.name);
  // A listener whose name could not be parsed may be the one that is meant.
  if (std::ranges::find(names, "") != names.end()) return;
  for (std::size_t i = 0; i < place.listeners.size(); ++i) {
    if (std::ranges::find(names, route.listeners[i]) != names.end()) continue;
    error(place.listeners[i], "unknown listener " + in_quotes(route.listeners[i]) +
                                  " in [[route]]" + did_you_mean(route.listeners[i], names));
  }
}

void ConfigCheck::check_backends(std::size_t index, std::span<const ListenerEndpoint> own) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  if (route.backends.size() > limits::route_backends_max) {
    error(place.backends[limits::route_backends_max],
          "more than " + std::to_string(limits::route_backends_max) + " backends in [[route]]");
  }
  // This host's other addresses are only checked at connect.
  const ForwardPolicy policy{.listeners = own, .own_addresses = {}};
  bool dynamic = false;
  for (std::size_t i = 0; i < route.backends.size(); ++i) {
    const Backend& backend = route.backends[i];
    dynamic |= backend.is_of_client();
    Endpoint target = backend.endpoint;
    if (backend.kind == Backend::Kind::name &&
        (backend.host == "localhost" || backend.host == "localhost.")) {
      target = {.ip = IpAddress::v4(127, 0, 0, 1), .port = backend.port};  // RFC 6761, 6.3.
    }
    if (target.port != 0 && policy.judge_configured(target) != ForwardVerdict::allowed) {
      error(place.backends[i], "backend " + in_quotes(backend.text) +
                                   " is a listener of this proxy, so connections would loop");
    }
  }
  if (route.allow_private && !dynamic && !route.backends.empty()) {
    diagnostics_.warning(
        place.allow_private,
        "'allow_private' in [[route]] has no effect without a \"{name}\" backend, or "
        "one with groups of an expression");
  }
}

// Keys without effect give a warning.
void ConfigCheck::check_balance(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  const bool balances = route.balance != Balance::first;
  for (std::size_t i = 0; i < route.backends.size(); ++i) {
    if (balances || route.backends[i].weight == 1) continue;
    diagnostics_.warning(
        place.backends[i],
        "'weight' of a backend has no effect with balance = \"first\" in [[route]]");
  }
  const auto is_backup = [](const Backend& backend) { return backend.backup; };
  if (!route.backends.empty() && std::ranges::all_of(route.backends, is_backup)) {
    diagnostics_.warning(place.backends.front(),
                         "'backup' has no effect where every backend of [[route]] is one");
  }
  const auto is_single = [](const Backend& backend) {
    return backend.kind != Backend::Kind::name && backend.kind != Backend::Kind::service;
  };
  if (balances && route.backends.size() <= 1 && std::ranges::all_of(route.backends, is_single)) {
    diagnostics_.warning(place.balance,
                         "'balance' in [[route]] has no effect with a single backend address");
  }
}

void ConfigCheck::check_alpn(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  if (route.alpn.empty()) return;
  const Position position = places_.routes[index].alpn;
  if (route.alpn.size() > limits::route_alpn_max) {
    error(position, "more than " + std::to_string(limits::route_alpn_max) +
                        " protocols in 'alpn' in [[route]]");
  }
  for (const ListenerConfig& listener : config_.listeners) {
    if (listener.protocol == Protocol::tls) continue;
    if (std::ranges::find(route.listeners, listener.name) == route.listeners.end()) continue;
    error(position, "'alpn' in [[route]] can never match on listener " + in_quotes(listener.name) +
                        ", whose protocol is \"http\"");
  }
}

// Checks that a route serves, refuses or redirects its clients.
void ConfigCheck::check_outcome(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  const bool redirects = route.redirect != Redirect::no;
  if (route.redirect_except_acme && !redirects) {
    diagnostics_.warning(place.table,
                         "'redirect_except_acme' in [[route]] has no effect without 'redirect'");
  }
  if (route.refuse != Refuse::no && redirects) {
    error(place.redirect, "[[route]] has both 'refuse' and 'redirect'");
  }
  const bool serves = (route.refuse == Refuse::no || route.access.is_set()) &&
                      (!redirects || route.redirect_except_acme);
  if (!serves && !route.backends.empty()) {
    error(place.backends.front(), route.refuse != Refuse::no
                                      ? "[[route]] has both 'refuse' and 'backend', which goes "
                                        "only with 'access'"
                                      : "[[route]] has both 'redirect' and 'backend', which goes "
                                        "only with 'redirect_except_acme'");
  }
  for (const ListenerConfig& listener : config_.listeners) {
    if (!redirects || listener.protocol == Protocol::http) continue;
    if (std::ranges::find(route.listeners, listener.name) == route.listeners.end()) continue;
    error(place.redirect, "'redirect' in [[route]] does not go with listener " +
                              in_quotes(listener.name) + ", whose protocol is \"tls\"");
  }
  const auto is_dynamic = [](const Backend& backend) { return backend.is_of_client(); };
  const auto names = std::ranges::find(route.names, "-");
  if (names != route.names.end() && std::ranges::any_of(route.backends, is_dynamic)) {
    error(place.names[static_cast<std::size_t>(names - route.names.begin())],
          "clients without a name (\"-\") have no \"{name}\" to connect to");
  }
}

// Metrics listen beside the listeners and the control socket.
void ConfigCheck::check_metrics() {
  constexpr std::string_view unix_prefix = "unix:";
  const std::string& listen = config_.metrics.listen;
  if (listen.starts_with(unix_prefix)) {
    if (listen.substr(unix_prefix.size()) != config_.control.socket) return;
    return error(places_.metrics, "'listen' in [metrics] is the path of 'socket' in [control]");
  }
  // A scope does not matter here: no two listeners differ by it alone.
  const auto metrics = parse_endpoint(listen, [](std::string_view) { return 1u; });
  if (!metrics) return;
  for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
    const ListenerConfig& listener = config_.listeners[i];
    const bool same = listener.address.ip == metrics->ip || takes(listener, metrics->ip) ||
                      takes({.address = *metrics}, listener.address.ip);
    if (listener.address.port != metrics->port || !same) continue;
    error(places_.metrics, "'listen' in [metrics] conflicts with the listener in " +
                               line_of(places_.listeners[i].address, places_.metrics) +
                               ", which has port " + std::to_string(metrics->port));
  }
}

void ConfigCheck::check_numbers() {
  if (config_.dns.servers.size() > limits::dns_servers_max) {
    error(places_.dns, "more than " + std::to_string(limits::dns_servers_max) +
                           " resolvers in 'servers' in [dns]");
  }
  if (config_.timeouts.setup < config_.timeouts.connect) {
    diagnostics_.warning(places_.timeouts,
                         "'connect' in [timeouts] has no effect, since it is greater than 'setup'");
  }
  if (config_.timeouts.attempt_delay > config_.timeouts.connect) {
    diagnostics_.warning(places_.timeouts,
                         "'attempt_delay' in [timeouts] has no effect, since it is greater than "
                         "'connect'");
  }
  if (config_.dns.ttl_min > config_.dns.ttl_max) {
    error(places_.dns, "'ttl_min' in [dns] is greater than 'ttl_max'");
  }
  const LimitConfig& limits = config_.limits;
  if (limits.connections != 0 && limits.connections_per_source > limits.connections) {
    diagnostics_.warning(places_.limits,
                         "'connections_per_source' in [limits] has no effect, since it is greater "
                         "than 'connections'");
  }
  const FastPathConfig& fast_path = config_.fast_path;
  if (!fast_path.drain_spliced && fast_path.pin.empty()) {
    error(places_.drain_spliced,
          "'drain_spliced' in [fast_path] leaves connections to the next process, which finds them "
          "by 'pin' alone");
  }
  if (config_.bans.duration > config_.bans.duration_max) {
    error(places_.bans, "'duration' in [bans] is greater than 'duration_max'");
  }
  if (config_.bans.refused_per_minute != 0 && limits.connections_per_source == 0) {
    diagnostics_.warning(places_.bans,
                         "'refused_per_minute' in [bans] has no effect without "
                         "'connections_per_source' in [limits]");
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
