#include "core/config/config_check_clients.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/limits.h"
#include "core/route/forward_policy.h"
#include "core/route/name_regex.h"

namespace sni {
namespace {

class ClientsCheck {
 public:
  ClientsCheck(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics)
      : config_(config), places_(places), diagnostics_(diagnostics) {}

  void run() {
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) check_accept_proxy(i);
    check_expressions();
    for (std::size_t i = 0; i < config_.routes.size(); ++i) {
      check_groups(i);
      check_access(i);
    }
  }

 private:
  void check_accept_proxy(std::size_t index);
  void check_expressions();
  void check_groups(std::size_t index);
  void check_access(std::size_t index);

  void error(Position position, std::string message) {
    diagnostics_.error(position, std::move(message));
  }

  const Config& config_;
  const ConfigPlaces& places_;
  DiagnosticList& diagnostics_;
};

void ClientsCheck::check_accept_proxy(std::size_t index) {
  const ListenerConfig& listener = config_.listeners[index];
  const std::vector<IpPrefix>& sources = listener.accept_proxy_from;
  const Position position = places_.listeners[index].accept_proxy_from;
  if (sources.size() > limits::accept_proxy_max) {
    error(position, "more than " + std::to_string(limits::accept_proxy_max) +
                        " prefixes in 'accept_proxy_from' in [[listener]]");
  }
  const auto is_everybody = [](const IpPrefix& prefix) {
    return prefix.length == (prefix.base.is_v4() ? 96 : 0);
  };
  if (std::ranges::any_of(sources, is_everybody)) {
    diagnostics_.warning(position,
                         "'accept_proxy_from' in [[listener]] trusts everybody: anyone who reaches "
                         "the listener may say any address");
  }
  if (listener.address.port == 0) return;  // It could not be parsed.
  const ListenerEndpoint own{.endpoint = listener.address, .v6only = listener.v6only};
  for (const IpPrefix& prefix : sources) {
    if (takes_family_of(own, prefix.base)) continue;
    diagnostics_.warning(position, "no client of " + listener.address.to_string() + " is in " +
                                       prefix.to_string() +
                                       ", which 'accept_proxy_from' in [[listener]] has: it is of "
                                       "the other address family");
  }
}

// Each name of a route must have the groups that its backends refer to.
void ClientsCheck::check_groups(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  for (const Backend& backend : route.backends) {
    if (backend.kind != Backend::Kind::captured_name) continue;
    const int wanted = groups_in_use(backend.host);
    for (std::size_t i = 0; i < route.names.size(); ++i) {
      const auto expression = NameRegex::compile(route.names[i]);
      if (expression && expression->groups() >= wanted) continue;
      error(places_.routes[index].names[i],
            "name " + in_quotes(route.names[i]) + " in [[route]] has no group " +
                std::to_string(wanted) + " of a regular expression for backend " +
                in_quotes(backend.text));
    }
  }
}

// A name that no other route has is matched against all expressions of a listener.
void ClientsCheck::check_expressions() {
  std::size_t expressions = 0;
  for (std::size_t i = 0; i < config_.routes.size(); ++i) {
    const auto& names = config_.routes[i].names;
    for (std::size_t j = 0; j < names.size(); ++j) {
      if (!is_name_regex(names[j]) || ++expressions != limits::route_regexes_max + 1) continue;
      error(places_.routes[i].names[j], "more than " + std::to_string(limits::route_regexes_max) +
                                            " names of routes are regular expressions");
    }
  }
}

// Checks which sources are served, and how many connections.
void ClientsCheck::check_access(std::size_t index) {
  const RouteConfig& route = config_.routes[index];
  const ConfigPlaces::Route& place = places_.routes[index];
  const RouteAccessConfig& access = route.access;
  if (access.block.size() + access.allow.size() > limits::route_access_max) {
    error(place.access, "more than " + std::to_string(limits::route_access_max) +
                            " entries in 'access' in [[route]]; longer lists belong into [access]");
  }
  if (!access.default_allow && access.allow.empty()) {
    diagnostics_.warning(place.access,
                         "nobody is served: 'access' in [[route]] denies by default and allows no "
                         "address");
  }
  if (!access.is_set() && !access.allow.empty()) {
    diagnostics_.warning(place.access,
                         "'allow' in [route.access] has no effect without 'block' or default = "
                         "\"deny\"");
  }
  if (route.connections == 0) return;
  if (route.backends.empty()) {
    diagnostics_.warning(place.connections,
                         "'connections' in [[route]] has no effect without a backend");
  } else if (config_.limits.connections != 0 && route.connections > config_.limits.connections) {
    diagnostics_.warning(place.connections,
                         "'connections' in [[route]] has no effect, since it is greater than that "
                         "in [limits]");
  }
}

}  // namespace

void check_clients(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics) {
  ClientsCheck(config, places, diagnostics).run();
}

}  // namespace sni
