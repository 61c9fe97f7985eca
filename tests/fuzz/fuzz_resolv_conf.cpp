// The input is /etc/resolv.conf.

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dns/resolv_conf.h"
#include "fuzz/property.h"

using namespace sni;
using namespace sni::test;

namespace {

std::optional<std::uint32_t> interface_of(std::string_view name) {
  return name == "eth0" ? std::optional<std::uint32_t>(2) : std::nullopt;
}

void check_server(const Endpoint& server) {
  require(server.port == 53, "servers are asked on port 53");
  const bool link_local =
      !server.ip.is_v4() && address_scope(server.ip) == AddressScope::link_local;
  require(link_local == (server.scope != 0), "link-local servers alone have an interface");
  require(parse_endpoint(server.to_string()) == server, "a server can be written and read");
}

void check_candidates(const ResolvConf& conf, std::string_view text) {
  const auto name = parse_dns_name(text);
  require(name.has_value(), "the names of this test are names");
  const auto candidates = search_candidates(*name, conf);
  require(!candidates.empty() && candidates.size() <= 1 + limits::dns_search_max,
          "candidates are as many as the search list, and the name");
  require(!name->absolute || candidates.size() == 1, "an absolute name is asked for as it is");
  for (const std::string& candidate : candidates) require_canonical(candidate);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ResolvConf conf = parse_resolv_conf(text, interface_of);
  require(!conf.servers.empty() && conf.servers.size() <= limits::dns_servers_max,
          "there is a server, and not too many");
  require(conf.search.size() <= limits::dns_search_max, "the search list is bounded");
  require(conf.ndots <= 15, "ndots is bounded");
  require(conf.unused.size() <= limits::dns_servers_max, "what is told is bounded");
  for (const std::string& told : conf.unused) require(told.size() < 256, "so is each of it");
  for (const Endpoint& server : conf.servers) check_server(server);
  for (const std::string& domain : conf.search) require_canonical(domain);
  for (const std::string_view name : {"web", "web.prod", "db.example.com.", "a.b.c.d.e.f.g"}) {
    check_candidates(conf, name);
  }
  require(parse_resolv_conf(text, interface_of) == conf, "the same text says the same");
  return 0;
}
