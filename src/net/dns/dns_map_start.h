#pragma once

// DNS_CACHE at the start of the proxy: pinned where the configuration says so, else for the life of
// the process, and nowhere in mode "userspace". What is not to be had costs questions, not service:
// a line in the log says so, and each worker's own cache serves alone.

#include <optional>

#include "bpf/dns/dns_map.h"
#include "core/config/config.h"

namespace sni {

std::optional<DnsMap> start_dns_map(const Config& config);

}  // namespace sni
