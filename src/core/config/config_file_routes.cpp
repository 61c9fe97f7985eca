// Routes, and the tables that they name: one line per key, as in config_file.cpp.

#include <chrono>

#include "core/config/config_choices.h"
#include "core/config/config_forms.h"
#include "core/config/config_reader.h"
#include "core/limits.h"
#include "core/route/backend.h"

namespace sni {
namespace {

using namespace std::chrono_literals;

const Form<std::string> text_form = [](std::string_view text) { return std::string(text); };

std::vector<Position> read_source(TableReader& table, SourceConfig& source) {
  auto addresses = table.read_one_or_list<IpAddress>("bind_address", forms::bind_address);
  table.read<std::string>("bind_interface", source.interface, forms::optional_interface);
  table.read("mark", source.mark, 0, UINT32_MAX);
  table.read("transparent", source.transparent);
  PortRange ports;
  table.read<PortRange>("source_ports", ports, forms::port_range);
  source.port_first = ports.first;
  source.port_last = ports.last;
  std::vector<Position> positions = positions_of(addresses);
  source.addresses = values_of(std::move(addresses));
  return positions;
}

// nullopt: neither key is there.
std::optional<ProxyForm> read_send_proxy(TableReader& table) {
  ProxyForm form;
  const auto version =
      table.read("send_proxy", form.version, forms::choice(choices::proxy_version));
  const auto fields = table.read_list("send_proxy_fields", forms::choice(choices::proxy_field));
  for (const auto& field : fields) form.*field.value = true;
  return version || !fields.empty() ? std::optional(form) : std::nullopt;
}

}  // namespace

void ConfigReader::read_route(TableReader& table) {
  RouteConfig route;
  const Position at = table.position();
  table.require("names");
  table.reject_empty("names");
  const bool refuse_known =
      table.read("refuse", route.refuse, forms::choice(choices::refuse)) || !table.has("refuse");
  const bool redirect_known =
      table.read("redirect", route.redirect, forms::choice(choices::redirect)) ||
      !table.has("redirect");
  table.read("redirect_except_acme", route.redirect_except_acme);
  const bool redirects = route.redirect != Redirect::no && !route.redirect_except_acme;
  table.read_table("access", [&](TableReader& access) { read_access_lists(access, route.access); });
  const bool serves = (route.refuse == Refuse::no || route.access.is_set()) && !redirects;
  // What a misspelt value asks for is not known.
  if (serves && refuse_known && redirect_known) {
    table.require("backend");
    table.reject_empty("backend");
  }
  table.reject_empty("listeners");
  auto names = table.read_list<std::string>("names", forms::route_name);
  auto backends = read_backends(table);
  table.read("balance", route.balance, forms::choice(choices::balance));
  table.read("retries", route.retries, 0, limits::route_retries_max);
  table.read("queue", route.queue, 0, limits::queue_max);
  auto listeners = table.read_list("listeners", text_form);
  auto alpn = table.read_list<std::string>("alpn", forms::alpn);
  table.read("allow_private", route.allow_private);
  table.read("idle", route.idle, forms::optional_duration(idle_min, idle_max));
  table.read("connect", route.connect, forms::optional_duration(10ms, 1h));
  table.read("connections", route.connections, 0, limits::backend_connections_max);
  route.send_proxy = read_send_proxy(table).value_or(ProxyForm{});
  table.read("via", route.via, text_form);
  table.read("health", route.health, text_form);
  std::vector<Position> addresses = read_source(table, route.source);
  places_.routes.push_back({.table = at,
                            .refuse = table.position_of("refuse"),
                            .redirect = table.position_of("redirect"),
                            .balance = table.position_of("balance"),
                            .queue = table.position_of("queue"),
                            .connections = table.position_of("connections"),
                            .access = table.position_of("access"),
                            .alpn = table.position_of("alpn"),
                            .allow_private = table.position_of("allow_private"),
                            .send_proxy = table.position_of("send_proxy"),
                            .send_proxy_fields = table.position_of("send_proxy_fields"),
                            .via = table.position_of("via"),
                            .health = table.position_of("health"),
                            .transparent = table.position_of("transparent"),
                            .bind_addresses = std::move(addresses),
                            .names = positions_of(names),
                            .backends = positions_of(backends),
                            .listeners = positions_of(listeners)});
  route.names = values_of(std::move(names));
  route.backends = values_of(std::move(backends));
  route.listeners = values_of(std::move(listeners));
  route.alpn = values_of(std::move(alpn));
  config_.routes.push_back(std::move(route));
}

std::vector<Located<Backend>> ConfigReader::read_backends(TableReader& route) {
  const auto form = with_interface(parse_backend);
  return route.read_strings_or_tables<Backend>(
      "backend", form, [&](TableReader& table) -> std::optional<Backend> {
        Backend backend;
        table.require("address");
        const bool known = table.read("address", backend, form).has_value();
        table.read("weight", backend.weight, 1, limits::backend_weight_max);
        table.read("backup", backend.backup);
        table.read("max_connections", backend.connections_max, 0, limits::backend_connections_max);
        backend.send_proxy = read_send_proxy(table);
        return known ? std::optional(std::move(backend)) : std::nullopt;
      });
}

void ConfigReader::read_upstream(TableReader& table) {
  UpstreamConfig upstream;
  const Position at = table.position();
  ConfigPlaces::Upstream place{.table = at, .name = at, .address = at};
  table.require("name");
  table.require("address");
  place.name = table.read<std::string>("name", upstream.name, forms::listener_name).value_or(at);
  place.address =
      table.read<Backend>("address", upstream.address, with_interface(parse_upstream)).value_or(at);
  table.read<std::string>("username", upstream.login.username, forms::socks_username);
  table.read<std::string>("password_file", upstream.password_file, forms::optional_path);
  place.username = table.position_of("username");
  place.password_file = table.position_of("password_file");
  config_.upstreams.push_back(std::move(upstream));
  places_.upstreams.push_back(place);
}

void ConfigReader::read_health(TableReader& table) {
  HealthConfig health;
  const Position at = table.position();
  table.require("name");
  const Position name =
      table.read<std::string>("name", health.name, forms::listener_name).value_or(at);
  table.read("check", health.check, forms::choice(choices::health_check));
  table.read("interval", health.interval, forms::duration(100ms, 24h));
  table.read("timeout", health.timeout, forms::duration(10ms, 1h));
  table.read("rise", health.rise, 1, 1000);
  table.read("fall", health.fall, 1, 1000);
  table.read("jitter", health.jitter, 0, 50);
  config_.healths.push_back(std::move(health));
  places_.healths.push_back({.table = at, .name = name});
}

}  // namespace sni
