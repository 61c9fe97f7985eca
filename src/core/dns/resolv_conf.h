#pragma once

// The parts of /etc/resolv.conf (resolv.conf(5)) that a proxy needs: servers, search list and
// ndots. We parse it ourselves and give c-ares only the servers. c-ares applies the search list to
// A and AAAA separately, and its versions differ: a name could get its IPv4 addresses from one
// domain and its IPv6 addresses from another.

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
  // Why nameserver lines are not used, one sentence fragment each; at most as many as servers.
  std::vector<std::string> unused;

  bool operator==(const ResolvConf&) const = default;
};

// Lines that cannot be parsed are skipped. Without any server the result has 127.0.0.1, as in
// glibc. A file without `search` and `domain` gives an empty list; the host's own domain does not
// replace them.
ResolvConf parse_resolv_conf(std::string_view text, const InterfaceLookup& interfaces = {});

// The absolute names to ask for in turn, without trailing dots. An absolute `name` is the only one.
// Otherwise, as in glibc, a name with ndots dots or more comes first as it is and then with each
// domain; a name with fewer dots comes last as it is.
std::vector<std::string> search_candidates(const DnsName& name, const ResolvConf& conf);

}  // namespace sni
