#include "core/route/route_table.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "core/hello/byte_reader.h"

namespace sni {
namespace {

bool offers(std::span<const std::uint8_t> alpn_list, std::string_view protocol) {
  ByteReader list(alpn_list);
  ByteReader offered;
  while (list.prefixed_u8(offered)) {
    if (std::ranges::equal(offered.rest(), protocol, {}, {},
                           [](char c) { return static_cast<std::uint8_t>(c); })) {
      return true;
    }
  }
  return false;
}

bool takes(const RouteConfig& route, std::span<const std::uint8_t> alpn_list) {
  return route.alpn.empty() ||
         std::ranges::any_of(route.alpn, [&](std::string_view p) { return offers(alpn_list, p); });
}

// Whether `earlier` takes every client that `later` could, for equal names. A route without alpn
// does not hide one with alpn, which comes first.
bool hides(const RouteConfig& earlier, const RouteConfig& later) {
  if (earlier.alpn.empty() || later.alpn.empty()) return earlier.alpn.empty() == later.alpn.empty();
  return std::ranges::all_of(later.alpn, [&](const std::string& protocol) {
    return std::ranges::find(earlier.alpn, protocol) != earlier.alpn.end();
  });
}

using Upstreams = std::unordered_map<std::string_view, std::shared_ptr<const Upstream>>;

Upstreams make_upstreams(const Config& config, BackendTable& backends) {
  Upstreams upstreams;
  for (const UpstreamConfig& each : config.upstreams) {
    upstreams.emplace(
        each.name,
        std::make_shared<Upstream>(Upstream{
            .name = each.name, .backend = backends.intern(each.address), .login = each.login}));
  }
  return upstreams;
}

const RouteRef no_route;

std::unique_ptr<const Balancer> make_balancer(const RouteConfig& config,
                                              std::span<const Backend* const> uses,
                                              std::span<const BackendRef> backends,
                                              std::size_t primaries) {
  if (config.balance == Balance::first || backends.empty()) return nullptr;
  std::vector<Balancer::Share> shares;
  shares.reserve(backends.size());
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const BackendEntry& entry = *backends[i];
    shares.push_back(
        {.weight = uses[i]->weight, .seed = entry.seed, .connections = &entry.connections});
  }
  return std::make_unique<const Balancer>(config.balance, std::move(shares), primaries);
}

std::vector<ProxyForm> make_proxy_forms(const RouteConfig& config,
                                        std::span<const Backend* const> uses) {
  std::vector<ProxyForm> forms;
  const auto has_its_own = [](const Backend* use) { return use->send_proxy.has_value(); };
  if (std::ranges::none_of(uses, has_its_own)) return forms;
  forms.reserve(uses.size());
  for (const Backend* use : uses) forms.push_back(use->send_proxy.value_or(config.send_proxy));
  return forms;
}

}  // namespace

// Its backends are shared with all routes that name them.
Route make_route(const RouteConfig& config, BackendTable& backends) {
  Route route;
  route.config = config;
  route.config.backends = {};  // The backend table has them.
  std::vector<const Backend*> uses;
  for (const bool backup : {false, true}) {
    for (const Backend& backend : config.backends) {
      if (backend.backup == backup) uses.push_back(&backend);
    }
    if (!backup) route.primaries = uses.size();
  }
  // If all are backups, none is.
  if (route.primaries == 0) route.primaries = uses.size();
  route.backends.reserve(uses.size());
  const bool counts =
      config.balance == Balance::least_connections || config.balance == Balance::random_two;
  for (const Backend* use : uses) {
    route.backends.push_back(backends.intern(*use));
    if (counts) route.backends.back()->count_addresses();
  }
  route.balancer = make_balancer(config, uses, route.backends, route.primaries);
  for (const std::string& name : config.names) {
    if (!is_name_regex(name)) continue;
    if (auto expression = NameRegex::compile(name)) route.expressions.push_back(*expression);
  }
  route.proxy_forms = make_proxy_forms(config, uses);
  if (config.access.is_set()) route.access = std::make_unique<const RouteAccess>(config.access);
  route.load = backends.load_of(config);
  return route;
}

const ProxyForm& Route::send_proxy(const Backend* backend) const {
  if (proxy_forms.empty()) return config.send_proxy;
  const auto found =
      std::ranges::find(backends, backend, [](const BackendRef& each) { return &each->backend; });
  return found == backends.end() ? config.send_proxy
                                 : proxy_forms[static_cast<std::size_t>(found - backends.begin())];
}

std::string Route::captured_host(const Backend& backend, std::string_view server_name) const {
  for (const NameRegex& expression : expressions) {
    if (auto host = expression.expand(backend.host, server_name)) return *std::move(host);
  }
  return {};
}

bool RouteTable::bound_connections(const BackendTable& backends) const {
  std::unordered_map<const RouteLoad*, std::uint32_t> bounds;
  for (const RouteRef& route : routes_) {
    if (route->config.connections != 0)
      bounds.emplace(route->load.get(), route->config.connections);
  }
  bool more = false;
  backends.for_each_load([&](const std::shared_ptr<RouteLoad>& load) {
    const auto bound = bounds.find(load.get());
    const std::uint32_t max = bound == bounds.end() ? 0 : bound->second;
    more |= load->bound(max) && max != 0;
  });
  return more;
}

RouteTable::RouteTable(const Config& config, BackendTable& backends) {
  routes_.reserve(config.routes.size());
  const Upstreams upstreams = make_upstreams(config, backends);
  for (const RouteConfig& each : config.routes) {
    Route route = make_route(each, backends);
    if (const auto found = upstreams.find(each.via); found != upstreams.end()) {
      route.upstream = found->second;
    }
    routes_.push_back(std::make_shared<const Route>(std::move(route)));
  }
  std::unordered_map<std::string_view, std::uint32_t> listener_indices;
  for (const ListenerConfig& listener : config.listeners) {
    listener_indices.emplace(listener.name, static_cast<std::uint32_t>(listener_indices.size()));
  }
  for (const bool narrowed : {true, false}) {
    for (std::uint32_t route = 0; route < routes_.size(); ++route) {
      if (routes_[route]->config.alpn.empty() == narrowed) continue;
      for (const std::string& listener : routes_[route]->config.listeners) {
        const auto index = listener_indices.find(listener);
        if (index != listener_indices.end()) add(index->second, route);
      }
    }
  }
  for (std::uint32_t route = 0; route < routes_.size(); ++route) {
    if (routes_[route]->expressions.empty()) continue;
    for (const std::string& listener : routes_[route]->config.listeners) {
      const auto index = listener_indices.find(listener);
      if (index != listener_indices.end()) list_expressions(index->second, route);
    }
  }
}

void RouteTable::list_expressions(std::uint32_t listener, std::uint32_t route) {
  if (searched_.size() <= listener) searched_.resize(listener + 1);
  searched_[listener].push_back(route);
}

RouteTable::Key RouteTable::key_of(std::uint32_t listener, std::string_view route_name) {
  if (route_name == "*") return {.listener = listener, .match = Match::any, .name = {}};
  if (route_name == "-") return {.listener = listener, .match = Match::nobody, .name = {}};
  if (!route_name.starts_with("*.")) {
    return {.listener = listener, .match = Match::exact, .name = route_name};
  }
  return {.listener = listener, .match = Match::suffix, .name = route_name.substr(2)};
}

void RouteTable::add(std::uint32_t listener, std::uint32_t route) {
  for (const std::string& name : routes_[route]->config.names) {
    if (is_name_regex(name)) continue;
    candidates_[key_of(listener, name)].push_back(route);
  }
}

std::size_t RouteTable::KeyHash::operator()(const Key& key) const noexcept {
  // There are few listeners, so an odd multiplier is enough to separate them.
  const std::size_t salt =
      (std::size_t{key.listener} * 4 + static_cast<std::size_t>(key.match) + 1);
  return std::hash<std::string_view>{}(key.name) ^ (salt * 0x9e3779b97f4a7c15u);
}

const RouteRef& RouteTable::probe(const Key& key,
                                  std::span<const std::uint8_t> alpn_list) const noexcept {
  const auto found = candidates_.find(key);
  if (found == candidates_.end()) return no_route;
  for (const std::uint32_t route : found->second) {
    if (takes(routes_[route]->config, alpn_list)) return routes_[route];
  }
  return no_route;
}

const RouteRef& RouteTable::find(std::uint32_t listener, std::string_view name,
                                 std::span<const std::uint8_t> alpn_list) const noexcept {
  const Key whole{
      .listener = listener, .match = name.empty() ? Match::nobody : Match::exact, .name = name};
  if (const RouteRef& route = probe(whole, alpn_list)) return route;
  for (std::size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
    const Key suffix{.listener = listener, .match = Match::suffix, .name = name.substr(dot + 1)};
    if (const RouteRef& route = probe(suffix, alpn_list)) return route;
  }
  if (listener < searched_.size() && !name.empty()) {
    if (const RouteRef& route = search(listener, name, alpn_list)) return route;
  }
  return probe({.listener = listener, .match = Match::any, .name = {}}, alpn_list);
}

const RouteRef& RouteTable::search(std::uint32_t listener, std::string_view name,
                                   std::span<const std::uint8_t> alpn_list) const noexcept {
  for (const std::uint32_t index : searched_[listener]) {
    const RouteRef& route = routes_[index];
    const auto matches = [name](const NameRegex& each) { return each.matches(name); };
    if (takes(route->config, alpn_list) && std::ranges::any_of(route->expressions, matches)) {
      return route;
    }
  }
  return no_route;
}

std::size_t RouteTable::probe_cost_max() const {
  std::size_t cost = 0;
  for (std::size_t bucket = 0; bucket < candidates_.bucket_count(); ++bucket) {
    cost = std::max(cost, candidates_.bucket_size(bucket));
  }
  return cost;
}

std::vector<HiddenName> hidden_names(std::span<const RouteConfig> routes) {
  std::map<std::pair<std::string_view, std::string_view>, std::vector<std::size_t>> earlier;
  std::vector<HiddenName> hidden;
  for (std::size_t route = 0; route < routes.size(); ++route) {
    for (std::size_t name = 0; name < routes[route].names.size(); ++name) {
      bool reported = false;
      for (const std::string& listener : routes[route].listeners) {
        auto& same = earlier[{listener, routes[route].names[name]}];
        const auto by = std::ranges::find_if(
            same, [&](std::size_t other) { return hides(routes[other], routes[route]); });
        if (by != same.end() && !reported) {
          hidden.push_back({.route = route, .name = name, .by = *by});
          reported = true;
        }
        same.push_back(route);
      }
    }
  }
  return hidden;
}

}  // namespace sni
