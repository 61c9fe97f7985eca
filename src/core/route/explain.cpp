#include "core/route/explain.h"

#include <algorithm>
#include <array>

#include "core/hello/server_name.h"
#include "core/route/route_table.h"

namespace sni {

namespace {

// The entry with the longest prefix that contains the address and has not expired.
const AccessEntry* holder(std::span<const AccessEntry> entries, const IpAddress& address,
                          std::chrono::sys_seconds now) {
  const AccessEntry* best = nullptr;
  for (const AccessEntry& entry : entries) {
    if (!entry.prefix.contains(address) || (entry.until && *entry.until <= now)) continue;
    if (best == nullptr || entry.prefix.length > best->prefix.length) best = &entry;
  }
  return best;
}

struct AccessLists {
  std::string name;  // "access".
  std::span<const AccessEntry> allow;
  std::span<const AccessEntry> block;
  std::span<const AccessEntry> block_file;
  bool default_allow;
};

// Whether the source is admitted.
bool explain_access(const AccessLists& lists, const IpAddress& source, std::chrono::sys_seconds now,
                    Explanation& out) {
  const std::string who = "source " + source.to_string();
  if (const auto* entry = holder(lists.allow, source, now)) {
    out.lines.push_back(who + ": allowed by " + entry->prefix.to_string() + " in " + lists.name +
                        ".allow");
    return true;
  }
  for (const auto& [list, name] :
       {std::pair(lists.block, ".block"), std::pair(lists.block_file, ".block_file")}) {
    if (const auto* entry = holder(list, source, now)) {
      out.lines.push_back(who + ": blocked by " + entry->prefix.to_string() + " in " + lists.name +
                          name);
      return false;
    }
  }
  out.lines.push_back(who + (lists.default_allow
                                 ? ": in no list, so it is let in"
                                 : ": in no list, and " + lists.name + ".default is \"deny\""));
  return lists.default_allow;
}

AccessLists lists_of(const AccessConfig& access, std::span<const AccessEntry> block_file) {
  return {.name = "access",
          .allow = access.allow,
          .block = access.block,
          .block_file = block_file,
          .default_allow = access.default_allow};
}

AccessLists lists_of(const RouteAccessConfig& access) {
  return {.name = "the route's access",
          .allow = access.allow,
          .block = access.block,
          .block_file = {},
          .default_allow = access.default_allow};
}

// As on the wire (RFC 7301 section 3.1), without the length of the whole.
std::vector<std::uint8_t> alpn_list(std::span<const std::string> protocols) {
  std::vector<std::uint8_t> list;
  for (const std::string& protocol : protocols) {
    list.push_back(static_cast<std::uint8_t>(protocol.size()));
    list.insert(list.end(), protocol.begin(), protocol.end());
  }
  return list;
}

// Which of the route's names matches: the most exact. Only "*" comes after expressions.
std::string matching(const RouteConfig& route, std::string_view name) {
  std::string_view best;
  std::string_view expression;
  for (const std::string_view each : route.names) {
    if (each == name) return std::string(each);
    if (const auto regex = NameRegex::compile(each); regex && regex->matches(name)) {
      if (expression.empty()) expression = each;
      continue;
    }
    const bool suffix =
        each.starts_with("*.") && name.size() + 1 > each.size() && name.ends_with(each.substr(1));
    const bool any = each == "*" || (each == "-" && name.empty());
    if ((suffix || any) && each.size() > best.size()) best = each;
  }
  if (expression.empty() || best.starts_with("*.")) return std::string(best);
  return std::string(expression) + ", a regular expression";
}

// The indices of the backends as a connection tries them. By source_hash they depend on the source.
std::vector<std::size_t> order_of(const Route& route, const std::optional<IpAddress>& source) {
  std::vector<std::size_t> order;
  const bool by_source =
      source && route.balancer && route.balancer->policy() == Balance::source_hash;
  std::uint64_t left = by_source ? first_backends(route.primaries) : 0;
  while (left != 0) {
    order.push_back(route.balancer->choose(left, {.source = source_key(*source)}));
    left &= ~(std::uint64_t{1} << order.back());
  }
  while (order.size() < route.backends.size()) order.push_back(order.size());
  return order;
}

std::string lead(const Route& whole, std::string_view name,
                 const std::optional<IpAddress>& source) {
  const RouteConfig& route = whole.config;
  if (route.refuse != Refuse::no && !route.access.is_set()) {
    return "no backend: the route refuses";
  }
  if (route.redirect != Redirect::no && !route.redirect_except_acme) {
    return "no backend: the route redirects to https";
  }
  const bool balances = route.balance != Balance::first;
  const bool ordered = !balances || (source && route.balance == Balance::source_hash);
  std::string text = "backend ";
  for (std::size_t place = 0; const std::size_t i : order_of(whole, source)) {
    const Backend& backend = whole.backends[i]->backend;
    if (place > 0) text += ordered || place == whole.primaries ? ", then " : " or ";
    ++place;
    text += backend.text;
    if (backend.is_of_client() && !name.empty()) {
      const std::string host = backend.kind == Backend::Kind::captured_name
                                   ? whole.captured_host(backend, name)
                                   : std::string(name);
      text += " (" + host + ':' + std::to_string(backend.port) + ')';
    }
  }
  if (balances) text += ", by " + std::string(to_string(route.balance));
  return text;
}

struct Place {
  std::size_t listener;
  RouteRef route;
};

// Whether a route on this listener takes the client.
RouteRef route_on(const Config& config, const RouteTable& table, std::size_t listener,
                  std::string_view name, const ExplainQuestion& question) {
  const bool tls = config.listeners[listener].protocol == Protocol::tls;
  const auto alpn = tls ? alpn_list(question.alpn) : std::vector<std::uint8_t>();
  return table.find(static_cast<std::uint32_t>(listener), name, alpn);
}

Result<Place> find_place(const Config& config, const RouteTable& table, std::string_view name,
                         const ExplainQuestion& question) {
  if (!question.listener.empty()) {
    const auto found =
        std::ranges::find(config.listeners, question.listener, &ListenerConfig::name);
    if (found == config.listeners.end()) {
      return fail("the configuration has no listener '" + question.listener + "'");
    }
    const auto index = static_cast<std::size_t>(found - config.listeners.begin());
    return Place{.listener = index, .route = route_on(config, table, index, name, question)};
  }
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    if (auto route = route_on(config, table, i, name, question)) {
      return Place{.listener = i, .route = std::move(route)};
    }
  }
  return Place{.listener = 0, .route = {}};
}

}  // namespace

Result<Explanation> explain(const Config& config, std::span<const AccessEntry> block_file,
                            const ExplainQuestion& question, std::chrono::sys_seconds now) {
  std::array<char, limits::server_name_max> buffer;
  const auto length =
      question.name.empty() ? 0 : canonical_server_name(question.name, std::span(buffer));
  if (!length) {
    return fail("'" + question.name + "' " + std::string(to_string(name_problem(question.name))));
  }
  for (const std::string& protocol : question.alpn) {
    if (protocol.empty() || protocol.size() > UINT8_MAX)
      return fail("an ALPN protocol has 1 to 255 bytes");
  }
  const std::string_view name(buffer.data(), *length);
  BackendTable backends;
  const RouteTable table(config, backends);
  const auto place = find_place(config, table, name, question);
  if (!place) return std::unexpected(place.error());

  Explanation out;
  const ListenerConfig& listener = config.listeners[place->listener];
  out.lines.push_back("listener " + listener.name + " (" + listener.address.to_string() + ", " +
                      (listener.protocol == Protocol::tls ? "tls" : "http") + ")");
  if (question.source &&
      !explain_access(lists_of(config.access, block_file), *question.source, now, out)) {
    return out;
  }
  out.lines.push_back(name.empty() ? std::string("name none") : "name " + std::string(name));
  if (place->route == nullptr) {
    out.lines.push_back("no route takes it" +
                        std::string(question.listener.empty() ? "" : " on this listener"));
    return out;
  }
  const RouteConfig& route = place->route->config;
  std::string line = "route " + route.names.front() + ", by its name " + matching(route, name);
  for (std::size_t i = 0; i < route.alpn.size(); ++i) {
    line += (i == 0 ? " and its alpn " : " ") + route.alpn[i];
  }
  out.lines.push_back(std::move(line));
  if (question.source && route.access.is_set() &&
      !explain_access(lists_of(route.access), *question.source, now, out)) {
    return out;
  }
  out.lines.push_back(lead(*place->route, name, question.source));
  out.served = out.lines.back().starts_with("backend ");
  if (const auto& upstream = place->route->upstream; upstream != nullptr && out.served) {
    out.lines.back() +=
        " by upstream " + upstream->name + " (" + upstream->backend->backend.text + ")";
  }
  return out;
}

}  // namespace sni
