#include "net/guard/guard_warnings.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include "core/guard/guard_list.h"
#include "core/text_lines.h"
#include "net/dns/system_names.h"
#include "net/server/own_addresses.h"

namespace sni {
namespace {

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <typename T>
std::optional<T> hex(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Interface, destination, gateway in hexadecimal and in the byte order of this machine, as the
// kernel prints its __be32 (fib_route_seq_show in net/ipv4/fib_trie.c).
std::optional<IpAddress> ipv4_gateway(std::string_view line) {
  take_word(line);
  const auto destination = hex<std::uint32_t>(take_word(line));
  const auto gateway = hex<std::uint32_t>(take_word(line));
  if (!destination || !gateway || *destination != 0 || *gateway == 0) return std::nullopt;
  const auto bytes = std::bit_cast<std::array<std::uint8_t, 4>>(*gateway);
  return IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

// Destination, its length, source, its length, next hop; addresses as 32 digits (rt6_info_route in
// net/ipv6/route.c).
std::optional<IpAddress> ipv6_gateway(std::string_view line) {
  take_word(line);
  const auto length = hex<std::uint32_t>(take_word(line));
  take_word(line);
  take_word(line);
  const std::string_view digits = take_word(line);
  if (length != 0 || digits.size() != 32) return std::nullopt;
  IpAddress gateway;
  for (std::size_t i = 0; i < 16; ++i) {
    const auto byte = hex<std::uint8_t>(digits.substr(2 * i, 2));
    if (!byte) return std::nullopt;
    gateway.bytes[i] = *byte;
  }
  if (gateway == IpAddress{}) return std::nullopt;
  return gateway;
}

// XDP knows proxies before this one by their packets, to which the lists at accept do not apply.
void warn_of_proxy(const Config& config, const std::vector<AccessEntry>& block_file,
                   const IpPrefix& proxy, std::vector<std::string>& warnings) {
  const auto covering = [&proxy](const std::vector<AccessEntry>& entries) {
    return std::ranges::find_if(
        entries, [&proxy](const AccessEntry& entry) { return covers(entry.prefix, proxy); });
  };
  if (covering(config.access.allow) != config.access.allow.end()) return;
  const std::string what = proxy.to_string() + " in 'accept_proxy_from'";
  for (const auto* blocks : {&config.access.block, &block_file}) {
    if (const auto block = covering(*blocks); block != blocks->end()) {
      warnings.push_back("the block of " + block->prefix.to_string() + " covers " + what +
                         ": XDP would drop its packets");
      return;
    }
  }
  if (config.access.default_allow) return;
  warnings.push_back("'access.default' is \"deny\", and 'access.allow' does not have " + what +
                     ": XDP would drop its packets");
}

}  // namespace

std::vector<IpAddress> parse_gateways(std::string_view ipv4_routes, std::string_view ipv6_routes) {
  std::vector<IpAddress> gateways;
  while (!ipv4_routes.empty()) {
    if (const auto gateway = ipv4_gateway(take_line(ipv4_routes))) gateways.push_back(*gateway);
  }
  while (!ipv6_routes.empty()) {
    if (const auto gateway = ipv6_gateway(take_line(ipv6_routes))) gateways.push_back(*gateway);
  }
  return gateways;
}

Result<std::vector<NeededSource>> needed_sources(const Config& config) {
  const auto own = own_addresses();
  if (!own) return std::unexpected(own.error());
  const auto names = load_system_names();
  if (!names) return std::unexpected(names.error());

  std::vector<NeededSource> needed;
  for (const IpAddress& address : own->addresses)
    needed.push_back({address, "an address of this host"});
  const auto gateways = parse_gateways(text_of("/proc/net/route"), text_of("/proc/net/ipv6_route"));
  for (const IpAddress& gateway : gateways) needed.push_back({gateway, "the gateway"});
  const auto& servers =
      config.dns.servers.empty() ? names->resolv_conf.servers : config.dns.servers;
  for (const Endpoint& server : servers) needed.push_back({server.ip, "a resolver"});
  for (const RouteConfig& route : config.routes) {
    for (const Backend& backend : route.backends) {
      if (backend.kind == Backend::Kind::address) {
        needed.push_back({backend.endpoint.ip, "the backend " + backend.text});
      }
    }
  }
  return needed;
}

std::vector<std::string> guard_warnings(const Config& config,
                                        const std::vector<AccessEntry>& block_file,
                                        const std::vector<NeededSource>& needed) {
  std::vector<std::string> warnings;
  if (config.xdp.interfaces.empty()) return warnings;
  for (const ListenerConfig& listener : config.listeners) {
    for (const IpPrefix& proxy : listener.accept_proxy_from) {
      warn_of_proxy(config, block_file, proxy, warnings);
    }
  }
  if (config.access.scope != BlockScope::host) return warnings;
  std::vector<GuardEntry> allows;
  for (const AccessEntry& entry : config.access.allow) {
    allows.push_back({.prefix = entry.prefix, .term = {.allow_until = guard_never_expires}});
  }
  const GuardPrefixes allowed(allows);
  for (const auto* blocks : {&config.access.block, &block_file}) {
    for (const AccessEntry& entry : *blocks) {
      for (const NeededSource& source : needed) {
        if (!covers(entry.prefix, source.address) || allowed.find(source.address) != GuardTerm{}) {
          continue;
        }
        warnings.push_back("the block of " + entry.prefix.to_string() + " covers " +
                           source.address.to_string() + ", " + source.what +
                           ": XDP would drop all of its packets");
      }
    }
  }
  return warnings;
}

}  // namespace sni
