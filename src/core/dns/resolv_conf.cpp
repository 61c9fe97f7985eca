#include "core/dns/resolv_conf.h"

#include <algorithm>

#include "core/decimal.h"
#include "core/text_lines.h"

namespace sni {
namespace {

constexpr std::uint16_t dns_port = 53;
constexpr std::uint64_t ndots_max = 15;  // RES_MAXNDOTS in resolv.h.

void read_options(std::string_view line, ResolvConf& conf) {
  constexpr std::string_view key = "ndots:";
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    if (!word.starts_with(key)) continue;
    if (const auto ndots = parse_decimal(word.substr(key.size()), 1'000)) {
      conf.ndots = static_cast<unsigned>(std::min(*ndots, ndots_max));
    }
  }
}

// The last `search` or `domain` line counts.
void read_search(std::string_view line, ResolvConf& conf) {
  conf.search.clear();
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    if (conf.search.size() == limits::dns_search_max) return;
    if (const auto domain = parse_dns_name(word)) conf.search.emplace_back(domain->view());
  }
}

// Why the line cannot be used; empty: it can.
std::string read_server(std::string_view word, const InterfaceLookup& interfaces,
                        ResolvConf& conf) {
  auto server = parse_scoped_ip(word, interfaces);
  if (!server) {
    return interface_part(word).empty() ? " is not an address"
                                        : " is not an address of a network interface of this host";
  }
  if (!server->ip.is_v4() && server->scope == 0 &&
      address_scope(server->ip) == AddressScope::link_local) {
    return " is link-local and needs its interface, as in fe80::1%eth0";
  }
  if (conf.servers.size() == limits::dns_servers_max) {
    return " is one more than the " + std::to_string(limits::dns_servers_max) + " that are used";
  }
  server->port = dns_port;
  if (std::ranges::find(conf.servers, *server) == conf.servers.end()) {
    conf.servers.push_back(*server);
  }
  return {};
}

void read_server_line(std::string_view line, const InterfaceLookup& interfaces, ResolvConf& conf) {
  constexpr std::size_t shown_max = 64;  // Longer than any address.
  const std::string_view word = take_word(line);
  const std::string why = read_server(word, interfaces, conf);
  if (why.empty() || conf.unused.size() == limits::dns_servers_max) return;
  conf.unused.push_back("nameserver " + std::string(word.substr(0, shown_max)) + why);
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text, const InterfaceLookup& interfaces) {
  ResolvConf conf;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find_first_of("#;"));
    const std::string_view key = take_word(line);
    if (key == "nameserver") {
      read_server_line(line, interfaces, conf);
    } else if (key == "search" || key == "domain") {
      read_search(line, conf);
    } else if (key == "options") {
      read_options(line, conf);
    }
  }
  if (conf.servers.empty()) {
    conf.servers.push_back({.ip = IpAddress::v4(127, 0, 0, 1), .port = dns_port});
  }
  return conf;
}

std::vector<std::string> search_candidates(const DnsName& name, const ResolvConf& conf) {
  const std::string as_is(name.view());
  std::vector<std::string> candidates;
  const auto dots = std::ranges::count(as_is, '.');
  const bool as_is_first = name.absolute || dots >= static_cast<std::ptrdiff_t>(conf.ndots);
  if (as_is_first) candidates.push_back(as_is);
  if (name.absolute) return candidates;
  for (const std::string& domain : conf.search) {
    if (as_is.size() + 1 + domain.size() > limits::server_name_max) continue;
    candidates.emplace_back(as_is).append(1, '.').append(domain);
  }
  if (!as_is_first) candidates.push_back(as_is);
  return candidates;
}

}  // namespace sni
