#include "core/dns/dns_record.h"

#include <algorithm>
#include <type_traits>

namespace sni {

static_assert(std::is_trivially_copyable_v<DnsRecord>);
static_assert(std::has_unique_object_representations_v<DnsRecord>);

std::uint64_t checksum_of(const SipKey& key, const DnsRecord& record) {
  constexpr std::size_t summed_from = sizeof(record.checksum);
  const std::string_view bytes(reinterpret_cast<const char*>(&record), sizeof record);
  return siphash(key, bytes.substr(summed_from));
}

std::optional<DnsRecord> make_dns_record(const SipKey& key, std::string_view name,
                                         const Resolution& answer, const DnsContext& context,
                                         std::uint64_t kept_ms) {
  DnsRecord record{};
  if (answer.status != Resolution::Status::ok || name.size() >= record.name.size() ||
      answer.count() > record.addresses.size()) {
    return std::nullopt;
  }
  record.setup = context.setup;
  record.stored_ms = context.now_ms;
  record.expires_ms = context.now_ms + kept_ms;
  record.count = static_cast<std::uint32_t>(answer.count());
  std::ranges::copy(name, record.name.begin());
  std::ranges::copy(answer.list(), record.addresses.begin());
  record.checksum = checksum_of(key, record);
  return record;
}

std::optional<KeptAnswer> read_dns_record(const SipKey& key, std::string_view name,
                                          const DnsRecord& record, const DnsContext& context) {
  if (record.checksum != checksum_of(key, record)) return std::nullopt;
  const auto end = std::ranges::find(record.name, '\0');
  if (end == record.name.end()) return std::nullopt;
  if (std::string_view(record.name.begin(), end) != name) return std::nullopt;
  if (record.setup != context.setup) return std::nullopt;
  if (record.stored_ms <= context.flushed_ms || record.stored_ms > context.now_ms ||
      record.expires_ms <= context.now_ms) {
    return std::nullopt;
  }
  if (record.count == 0 || record.count > record.addresses.size()) return std::nullopt;
  const auto* first = record.addresses.data();
  return KeptAnswer{.resolution = Resolution::of({first, first + record.count}),
                    .left_ms = record.expires_ms - context.now_ms};
}

}  // namespace sni
