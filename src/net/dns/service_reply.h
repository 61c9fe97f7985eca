#pragma once

// SRV records of a DNS message. c-ares asks and reads them too, but leaves out how long they hold
// (ares_parse_srv_reply), so that the records are read here, and names by its ares_expand_name().

#include <cstdint>
#include <span>

#include "core/dns/dns_question.h"

namespace sni {

// Of a message whose answer c-ares takes for one without an error. no_data: there is no target that
// can be used. failed: it cannot be read.
DnsReply read_service_reply(std::span<const std::uint8_t> message);

}  // namespace sni
