#include "core/config/config_check_ways.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/limits.h"
#include "core/route/forward_policy.h"

namespace sni {
namespace {

// Of a route's names: any, none, or an expression.
bool has_no_name(const std::string& name) {
  return name == "*" || name == "-" || name.starts_with('/');
}

class WaysCheck {
 public:
  WaysCheck(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics)
      : config_(config), places_(places), diagnostics_(diagnostics) {}

  void run() {
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) check_upstream(i);
    for (std::size_t i = 0; i < config_.routes.size(); ++i) {
      check_via(i);
      check_source(i);
      check_route_health(i);
      check_send_proxy(i);
    }
    for (std::size_t i = 0; i < config_.healths.size(); ++i) check_health(i);
    check_bounds();
  }

 private:
  void check_upstream(std::size_t index);
  void check_via(std::size_t index);
  void check_source(std::size_t index);
  void check_bounds();
  void check_health(std::size_t index);
  void check_route_health(std::size_t index);
  void check_send_proxy(std::size_t index);

  void error(Position position, std::string message) {
    diagnostics_.error(position, std::move(message));
  }

  const Config& config_;
  const ConfigPlaces& places_;
  DiagnosticList& diagnostics_;
};

void WaysCheck::check_upstream(std::size_t index) {
  const UpstreamConfig& upstream = config_.upstreams[index];
  const ConfigPlaces::Upstream& place = places_.upstreams[index];
  for (std::size_t i = 0; i < index; ++i) {
    if (upstream.name.empty() || config_.upstreams[i].name != upstream.name) continue;
    error(place.name, "upstream " + in_quotes(upstream.name) + " is already defined in " +
                          diagnostics_.line_of(places_.upstreams[i].name, place.name));
  }
  if (upstream.login.username.empty() != upstream.password_file.empty()) {
    const bool no_name = upstream.login.username.empty();
    error(no_name ? place.password_file : place.username,
          std::string("[[upstream]] has '") + (no_name ? "password_file" : "username") +
              "' without '" + (no_name ? "username" : "password_file") + "'");
  }
  std::vector<ListenerEndpoint> own;
  for (const ListenerConfig& listener : config_.listeners) {
    own.push_back({.endpoint = listener.address, .v6only = listener.v6only});
  }
  const ForwardPolicy policy{.listeners = own, .own_addresses = {}};
  if (upstream.address.endpoint.port != 0 &&
      policy.judge_configured(upstream.address.endpoint) != ForwardVerdict::allowed) {
    error(place.address, "upstream " + in_quotes(upstream.address.text) +
                             " is a listener of this proxy, so connections would loop");
  }
}

void WaysCheck::check_via(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  if (route.via.empty()) return;
  std::vector<std::string_view> names;
  for (const UpstreamConfig& upstream : config_.upstreams) names.push_back(upstream.name);
  // An upstream whose name could not be parsed may be the one that is meant.
  const bool unread = std::ranges::find(names, "") != names.end();
  if (!unread && std::ranges::find(names, route.via) == names.end()) {
    error(place.via, "unknown upstream " + in_quotes(route.via) + " in [[route]]" +
                         did_you_mean(route.via, names));
  }
  for (std::size_t i = 0; i < route.backends.size(); ++i) {
    const Backend::Kind kind = route.backends[i].kind;
    if (kind != Backend::Kind::unix_path && kind != Backend::Kind::service) continue;
    error(place.backends[i],
          "backend " + in_quotes(route.backends[i].text) + " cannot be reached by an upstream");
  }
  if (route.backends.empty()) {
    diagnostics_.warning(place.via, "'via' in [[route]] has no effect without a backend");
  }
}

void WaysCheck::check_source(std::size_t index) {
  const SourceConfig& source = config_.routes[index].source;
  const ConfigPlaces::Route& place = places_.routes[index];
  if (source.addresses.size() > 2 || (source.addresses.size() == 2 &&
                                      source.addresses[0].is_v4() == source.addresses[1].is_v4())) {
    error(place.bind_addresses.back(),
          "'bind_address' in [[route]] takes one address of each family at most");
  }
  if (source.transparent && !source.addresses.empty()) {
    error(place.transparent, "[[route]] has both 'transparent' and 'bind_address'");
  }
}

void WaysCheck::check_health(std::size_t index) {
  const HealthConfig& health = config_.healths[index];
  const ConfigPlaces::Health& place = places_.healths[index];
  if (health.name.empty()) return;
  for (std::size_t i = 0; i < index; ++i) {
    if (config_.healths[i].name != health.name) continue;
    error(place.name, "health check " + in_quotes(health.name) + " is already defined in " +
                          diagnostics_.line_of(places_.healths[i].name, place.name));
  }
  if (std::ranges::find(config_.routes, health.name, &RouteConfig::health) ==
      config_.routes.end()) {
    diagnostics_.warning(place.table, "no [[route]] uses health check " + in_quotes(health.name));
  }
}

void WaysCheck::check_route_health(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const Position position = places_.routes[index].health;
  if (route.health.empty()) return;
  std::vector<std::string_view> names;
  for (const HealthConfig& health : config_.healths) names.push_back(health.name);
  const bool unread = std::ranges::find(names, "") != names.end();
  if (!unread && std::ranges::find(names, route.health) == names.end()) {
    error(position, "unknown health check " + in_quotes(route.health) + " in [[route]]" +
                        did_you_mean(route.health, names));
  }
  const auto check = std::ranges::find(config_.healths, route.health, &HealthConfig::name);
  if (check != config_.healths.end() && check->check == HealthCheck::tls &&
      std::ranges::all_of(route.names, has_no_name)) {
    diagnostics_.warning(position,
                         "health check " + in_quotes(route.health) +
                             " asks for no server name, since [[route]] has none to ask for: a "
                             "backend that requires one counts as down");
  }
  if (!route.via.empty()) {
    error(position, "'health' in [[route]] does not go with 'via': checks connect directly");
  }
  if (std::ranges::all_of(route.backends, &Backend::is_of_client)) {
    diagnostics_.warning(position, route.backends.empty()
                                       ? "'health' in [[route]] has no effect without a backend"
                                       : "'health' in [[route]] has no effect on backends that "
                                         "clients name");
  }
}

void WaysCheck::check_send_proxy(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  if (route.send_proxy.has_fields() && route.send_proxy.version != ProxyVersion::v2) {
    error(place.send_proxy_fields,
          "'send_proxy_fields' in [[route]] needs send_proxy = \"v2\", which alone has fields");
  }
  if (route.send_proxy.version != ProxyVersion::none && route.backends.empty()) {
    diagnostics_.warning(place.send_proxy,
                         "'send_proxy' in [[route]] has no effect without a backend");
  }
  for (std::size_t i = 0; i < route.backends.size(); ++i) {
    const auto& own = route.backends[i].send_proxy;
    if (!own || !own->has_fields() || own->version == ProxyVersion::v2) continue;
    error(place.backends[i],
          "'send_proxy_fields' of a backend needs send_proxy = \"v2\" beside it, which alone has "
          "fields");
  }
}

// The limit belongs to the backend, whichever route names it.
void WaysCheck::check_bounds() {
  std::unordered_map<std::string_view, std::pair<std::uint32_t, Position>> bounds;
  for (std::size_t i = 0; i < config_.routes.size(); ++i) {
    const RouteConfig& route = config_.routes[i];
    bool bounded = false;
    for (std::size_t j = 0; j < route.backends.size(); ++j) {
      const Backend& backend = route.backends[j];
      if (backend.connections_max == 0) continue;
      bounded = true;
      const Position position = places_.routes[i].backends[j];
      const auto [known, fresh] =
          bounds.try_emplace(backend.text, backend.connections_max, position);
      if (fresh || known->second.first == backend.connections_max) continue;
      error(position, "'max_connections' of backend " + in_quotes(backend.text) + " is " +
                          std::to_string(known->second.first) + " in " +
                          diagnostics_.line_of(known->second.second, position) +
                          "; it holds for all routes that name the backend");
    }
    if (bounded || route.queue == limits::queue_default) continue;
    diagnostics_.warning(places_.routes[i].queue,
                         "'queue' in [[route]] has no effect without 'max_connections' of a "
                         "backend");
  }
}

}  // namespace

void check_ways(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics) {
  WaysCheck(config, places, diagnostics).run();
}

}  // namespace sni
