#pragma once

// One answer in the map DNS_CACHE. All workers share it, and so does the next process if the map is
// pinned. The map's key is a hash of the name, the kernel reuses elements while others still read
// them (preallocated hash maps), and a pinned map may contain anything. So a record includes
// everything it depends on, under a keyed checksum. A record that is torn, or answers another
// question, is ignored.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dns/resolution.h"
#include "core/limits.h"
#include "core/siphash.h"

namespace sni {

// No padding: it is written, read and checksummed as bytes.
struct DnsRecord {
  std::uint64_t checksum;    // Of everything below.
  std::uint64_t setup;       // Hash of the resolvers and the search list.
  std::uint64_t stored_ms;   // CLOCK_BOOTTIME: it continues over a restart, and steps of the wall
  std::uint64_t expires_ms;  // clock do not move it. Pins do not outlive the boot either.
  std::uint32_t count;
  std::uint32_t pad;
  std::array<char, 256> name;  // As asked for, padded with NUL.
  std::array<IpAddress, limits::dns_record_addresses_max> addresses;
};
static_assert(sizeof(DnsRecord) == 552);
static_assert(sizeof(DnsRecord::name) > limits::server_name_max + 1);  // Includes a trailing dot.

// The circumstances of a question.
struct DnsContext {
  std::uint64_t setup = 0;
  std::uint64_t flushed_ms = 0;  // Records stored up to then are invalid; 0: all are valid.
  std::uint64_t now_ms = 0;      // CLOCK_BOOTTIME, as all times here.
};

// nullopt: no addresses, too many of them, or the name is too long.
std::optional<DnsRecord> make_dns_record(const SipKey& key, std::string_view name,
                                         const Resolution& answer, const DnsContext& context,
                                         std::uint64_t kept_ms);

struct KeptAnswer {
  Resolution resolution;      // Status ok.
  std::uint64_t left_ms = 0;  // Until it expires, above 0.
};
// nullopt: it does not answer this name now.
std::optional<KeptAnswer> read_dns_record(const SipKey& key, std::string_view name,
                                          const DnsRecord& record, const DnsContext& context);

// The correct value of DnsRecord::checksum.
std::uint64_t checksum_of(const SipKey& key, const DnsRecord& record);

}  // namespace sni
