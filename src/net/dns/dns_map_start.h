#pragma once

// Opens DNS_CACHE at the start: pinned if the configuration says so, else for the life of the
// process, and not at all in mode "userspace". A failure is only logged: each worker then uses its
// own cache alone and asks more questions.

#include <optional>

#include "bpf/dns/dns_map.h"
#include "core/config/config.h"

namespace sni {

std::optional<DnsMap> start_dns_map(const Config& config);

}  // namespace sni
