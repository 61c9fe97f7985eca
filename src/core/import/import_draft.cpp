#include "core/import/import_draft.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "core/config/config_forms.h"
#include "core/config/diagnostic.h"
#include "core/config/duration.h"
#include "core/limits.h"
#include "core/route/backend.h"
#include "core/route/route_table.h"

namespace sni {
namespace {

constexpr std::string_view unix_prefix = "unix:";

// TOML requires UTF-8, and the encoding of non-ASCII bytes is unknown.
bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

bool is_any_v6(const ListenerConfig& listener) {
  return listener.address.ip == IpAddress{};
}

}  // namespace

void ImportDraft::note(std::uint32_t line, std::span<const std::string> words,
                       std::string_view why) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  note(line, in_quotes(all) + ": " + std::string(why));
}

void ImportDraft::note(std::uint32_t line, std::string text) {
  notes_.push_back({.line = line, .text = std::move(text)});
}

void ImportDraft::note_once(std::uint32_t line, std::string text) {
  if (noted_.insert(text).second) note(line, std::move(text));
}

std::string ImportDraft::free_name(std::string_view wanted) {
  std::string name(wanted);
  for (unsigned next = 2; listeners_.contains(name); ++next) {
    name = std::string(wanted) + '-' + std::to_string(next);
  }
  return name;
}

std::optional<ImportPlace> ImportDraft::add_listener(std::uint32_t line, const Listener& wanted) {
  const auto address = forms::listen_address(wanted.address);
  if (!address) {
    note(line, address.error().what);
    return std::nullopt;
  }
  if (const auto there = addresses_.find(*address); there != addresses_.end()) {
    const ListenerConfig& known = config_.listeners[there->second];
    if (known.protocol == wanted.protocol) {
      return ImportPlace{.listener = known.name, .port = address->port};
    }
    note(line, in_quotes(wanted.address) + " has another protocol already");
    return std::nullopt;
  }
  if (config_.listeners.size() == limits::listeners_max) {
    note_once(line, "more than " + std::to_string(limits::listeners_max) + " listeners");
    return std::nullopt;
  }
  const std::string usual =
      (wanted.protocol == Protocol::tls ? "tls-" : "http-") + std::to_string(address->port);
  const auto name = forms::listener_name(wanted.name);
  ListenerConfig listener;
  listener.name = free_name(name ? *name : usual);
  listener.address = *address;
  listener.protocol = wanted.protocol;
  listeners_.emplace(listener.name, config_.listeners.size());
  addresses_.emplace(*address, config_.listeners.size());
  config_.listeners.push_back(listener);
  return ImportPlace{.listener = listener.name, .port = address->port};
}

ListenerConfig& ImportDraft::listener(std::string_view name) {
  return config_.listeners[listeners_.find(name)->second];
}

bool ImportDraft::set_access_file(std::string_view path) {
  std::string& file = config_.log.access_file;
  if (!path.starts_with('/') || !is_printable_ascii(path) || (!file.empty() && file != path))
    return false;
  file = path;
  return true;
}

bool ImportDraft::add_backends(std::uint32_t line, RouteConfig& route, const ImportPool& pool,
                               std::uint16_t port) {
  for (const ImportServer& server : pool.servers) {
    auto backend = parse_backend(with_port(server.address, port));
    if (!is_printable_ascii(server.address))
      backend = fail(in_quotes(server.address) + " is not ASCII");
    if (!backend) {
      note(line, backend.error().what);
      continue;
    }
    if (route.backends.size() == limits::route_backends_max) {
      note(line, "more than " + std::to_string(limits::route_backends_max) + " backends");
      break;
    }
    backend->weight = std::clamp(server.weight, 1u, limits::backend_weight_max);
    backend->backup = server.backup;
    backend->connections_max = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(server.connections_max, limits::backend_connections_max));
    route.backends.push_back(*std::move(backend));
  }
  if (route.backends.empty()) return false;
  const bool balances =
      route.backends.size() > 1 || route.backends.front().kind == Backend::Kind::name;
  route.balance = balances ? pool.balance : Balance::first;
  if (route.balance == Balance::first) {
    for (Backend& backend : route.backends) backend.weight = 1;
  }
  const auto is_backup = [](const Backend& backend) { return backend.backup; };
  if (std::ranges::all_of(route.backends, is_backup)) {
    for (Backend& backend : route.backends) backend.backup = false;
  }
  route.send_proxy.version = pool.send_proxy;
  route.source = pool.source;
  if (pool.is_checked) {
    route.health = "tcp";
    if (config_.healths.empty()) config_.healths.push_back({.name = route.health});
  }
  return true;
}

void ImportDraft::add_route(std::uint32_t line, const std::vector<std::string>& names,
                            std::span<const ImportPlace> places, const ImportPool& pool) {
  // Places share a route if their ports make no difference.
  std::vector<RouteConfig> routes;
  for (const ImportPlace& place : places) {
    RouteConfig route;
    route.names = names;
    if (!add_backends(line, route, pool, place.port)) return;
    const auto same = std::ranges::find(routes, route.backends, &RouteConfig::backends);
    RouteConfig& taken = same == routes.end() ? routes.emplace_back(std::move(route)) : *same;
    if (std::ranges::find(taken.listeners, place.listener) == taken.listeners.end()) {
      taken.listeners.push_back(place.listener);
    }
  }
  for (RouteConfig& route : routes) push_route(line, std::move(route));
}

void ImportDraft::add_redirect(std::uint32_t line, std::vector<std::string> names,
                               std::span<const ImportPlace> places) {
  RouteConfig route;
  route.names = std::move(names);
  route.redirect = Redirect::https;
  for (const ImportPlace& place : places) route.listeners.push_back(place.listener);
  push_route(line, std::move(route));
}

void ImportDraft::push_route(std::uint32_t line, RouteConfig route) {
  if (route.names.empty() || route.listeners.empty()) return;
  if (std::ranges::any_of(route.names, is_name_regex)) {
    note_once(line, "expressions come after names and \"*.\" here, wherever they stand");
  }
  config_.routes.push_back(std::move(route));
  route_lines_.push_back(line);
}

void ImportDraft::drop_hidden_names() {
  auto hidden = hidden_names(config_.routes);
  std::ranges::sort(hidden, std::greater<>{},
                    [](const HiddenName& each) { return std::pair(each.route, each.name); });
  for (const HiddenName& each : hidden) {
    std::vector<std::string>& names = config_.routes[each.route].names;
    // A duplicate name within a route needs no note.
    if (each.by != each.route) {
      note(route_lines_[each.route], in_quotes(names[each.name]) + " goes where line " +
                                         std::to_string(route_lines_[each.by]) +
                                         " says, which comes first");
    }
    names.erase(names.begin() + static_cast<std::ptrdiff_t>(each.name));
  }
  std::erase_if(config_.routes, [](const RouteConfig& route) { return route.names.empty(); });
}

// An IPv6 listener on every address leaves IPv4 to IPv4 listeners.
void ImportDraft::part_families() {
  for (ListenerConfig& listener : config_.listeners) {
    if (!is_any_v6(listener)) continue;
    listener.v6only |= std::ranges::any_of(config_.listeners, [&](const ListenerConfig& other) {
      return other.address.ip.is_v4() && other.address.port == listener.address.port;
    });
  }
}

Config ImportDraft::finish(std::vector<ImportNote>& notes) {
  drop_hidden_names();
  part_families();
  std::ranges::sort(notes_, {},
                    [](const ImportNote& note) { return std::tie(note.line, note.text); });
  notes = std::move(notes_);
  return std::move(config_);
}

std::string with_port(std::string_view address, std::uint16_t port) {
  const std::string tail = ':' + std::to_string(port);
  if (address.starts_with(unix_prefix)) return std::string(address);
  if (const auto ip = parse_ip(address)) {
    return address.find(':') == address.npos ? std::string(address) + tail
                                             : '[' + std::string(address) + ']' + tail;
  }
  const bool has_port = !address.ends_with(']') && address.find(':') != address.npos;
  return has_port ? std::string(address) : std::string(address) + tail;
}

std::optional<std::chrono::milliseconds> import_time(std::string_view text,
                                                     std::string_view unit_without,
                                                     std::chrono::milliseconds min,
                                                     std::chrono::milliseconds max) {
  std::string whole(text);
  if (text.find_first_not_of("0123456789") == text.npos) whole += unit_without;
  const auto time = parse_duration(whole);
  if (!time) return std::nullopt;
  return std::clamp(*time, min, max);
}

}  // namespace sni
