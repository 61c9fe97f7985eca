#pragma once

// What /etc/resolv.conf says (resolv.conf(5)), as far as a proxy needs it: servers, search list and
// ndots. We read it ourselves and hand c-ares the servers, because c-ares applies the search list
// for A and AAAA apart and each of its versions differently: one name could then take its IPv4
// addresses from one domain and its IPv6 addresses from another.

#include <string>
#include <string_view>
#include <vector>

#include "core/address/address.h"
#include "core/dns/dns_name.h"

namespace sni {

struct ResolvConf {
  std::vector<Endpoint> servers;    // At most limits::dns_servers_max.
  std::vector<std::string> search;  // Domains, at most limits::dns_search_max.
  unsigned ndots = 1;               // A name with fewer dots is tried with the search list first.
  // Why a nameserver line is not used, one sentence fragment each; at most as many as servers.
  std::vector<std::string> unused;

  bool operator==(const ResolvConf&) const = default;
};

// Lines that are not understood are passed over. Without any server it is 127.0.0.1, as in glibc. A file without
// `search` and `domain` gives an empty list; the host's own domain is not taken in their place.
ResolvConf parse_resolv_conf(std::string_view text, const InterfaceLookup& interfaces = {});

// The absolute names to ask for in turn, without trailing dots: `name` alone if it is absolute,
// else as glibc does it: with ndots dots or more, the name itself and then with each domain; with
// fewer, the name itself last.
std::vector<std::string> search_candidates(const DnsName& name, const ResolvConf& conf);

}  // namespace sni
