#pragma once

// Short forms of configurations and answers for the resolver's tests.

#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "core/config/config.h"
#include "net/dns/system_names.h"
#include "support/dns_server.h"

namespace sni::test {

inline const DnsAnswer silent{.manner = DnsAnswer::Manner::silent};
inline const DnsAnswer server_failure{.rcode = DnsAnswer::server_failure};

inline DnsAnswer a(const std::string& address) {
  return {.records = {{.type = DnsType::a, .data = address}}};
}

// One try of 200 ms at each server.
inline DnsConfig asking(std::initializer_list<const DnsServer*> servers) {
  DnsConfig config{.timeout = std::chrono::milliseconds(200), .tries = 1};
  for (const DnsServer* server : servers) config.servers.push_back(server->endpoint());
  return config;
}

inline SystemNames with_hosts(std::string_view hosts) {
  return {.hosts = HostsTable::parse(hosts)};
}

inline SystemNames with_resolv_conf(std::string_view text) {
  return {.resolv_conf = parse_resolv_conf(text)};
}

inline std::shared_ptr<const SystemNames> shared(SystemNames names) {
  return std::make_shared<const SystemNames>(std::move(names));
}

}  // namespace sni::test
