#pragma once

// One answer as it stands in the map DNS_CACHE, where all workers find it and, pinned, the next
// process too. The map is looked up by a hash of the name, its elements are used again while others
// still read them (preallocated hash maps of the kernel), and a pinned one may hold anything. So a
// record says all that it depends on, under a keyed checksum: what is not whole, or not an answer
// to this very question, is no answer.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dns/resolution.h"
#include "core/limits.h"
#include "core/siphash.h"

namespace sni {

// No holes: it is written, read and summed as bytes.
struct DnsRecord {
  std::uint64_t checksum;    // Of all that follows.
  std::uint64_t setup;       // Of the resolvers and search list that were asked.
  std::uint64_t stored_ms;   // CLOCK_BOOTTIME: it goes on over a restart, and no step of the wall
  std::uint64_t expires_ms;  // clock moves it. Pins do not outlive the boot either.
  std::uint32_t count;
  std::uint32_t pad;
  std::array<char, 256> name;  // As asked for, filled up with NUL.
  std::array<IpAddress, limits::dns_record_addresses_max> addresses;
};
static_assert(sizeof(DnsRecord) == 552);
static_assert(sizeof(DnsRecord::name) > limits::server_name_max + 1);  // And a last dot.

// The circumstances of a question.
struct DnsContext {
  std::uint64_t setup = 0;
  std::uint64_t flushed_ms = 0;  // What was stored up to then counts no more; 0: everything does.
  std::uint64_t now_ms = 0;      // CLOCK_BOOTTIME, as all times here.
};

// nullopt: there are no addresses or too many, or the name is too long.
std::optional<DnsRecord> make_dns_record(const SipKey& key, std::string_view name,
                                         const Resolution& answer, const DnsContext& context,
                                         std::uint64_t kept_ms);

struct KeptAnswer {
  Resolution resolution;      // Status ok.
  std::uint64_t left_ms = 0;  // Until it expires, above 0.
};
// nullopt: it is no answer to this name now.
std::optional<KeptAnswer> read_dns_record(const SipKey& key, std::string_view name,
                                          const DnsRecord& record, const DnsContext& context);

// What DnsRecord::checksum is to be.
std::uint64_t checksum_of(const SipKey& key, const DnsRecord& record);

}  // namespace sni
