#pragma once

// SRV records of a DNS message. ares_parse_srv_reply() leaves out their TTL, so the records are
// parsed here, with ares_expand_name() for the names.

#include <cstdint>
#include <span>

#include "core/dns/dns_question.h"

namespace sni {

// For a message that c-ares reported as successful. no_data: there is no usable target. failed: it
// cannot be parsed.
DnsReply read_service_reply(std::span<const std::uint8_t> message);

}  // namespace sni
