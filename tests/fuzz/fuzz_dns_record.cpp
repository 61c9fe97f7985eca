// The input is one byte of flags, three times, and a record as in a pinned map. Bit 0: the checksum
// is corrected, so that the code after its check is reached.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "core/dns/dns_record.h"
#include "fuzz/property.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};

template <typename T>
T take(std::span<const std::uint8_t>& bytes) {
  T value{};
  const std::size_t length = std::min(sizeof value, bytes.size());
  std::memcpy(&value, bytes.data(), length);
  bytes = bytes.subspan(length);
  return value;
}

void check_answer(const KeptAnswer& answer, const DnsRecord& record, const DnsContext& context) {
  require(answer.resolution.status == Resolution::Status::ok, "an answer has addresses");
  require(answer.resolution.count() == record.count, "it has as many as the record says");
  require(record.count <= limits::dns_record_addresses_max, "they are those of the record");
  require(answer.left_ms > 0, "it has time left");
  require(record.stored_ms <= context.now_ms, "it is not from the future");
  require(record.stored_ms > context.flushed_ms, "it is from after the flush");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::span<const std::uint8_t> rest(data, size);
  const auto flags = take<std::uint8_t>(rest);
  DnsContext context;
  context.setup = take<std::uint8_t>(rest);
  context.flushed_ms = take<std::uint16_t>(rest);
  context.now_ms = take<std::uint16_t>(rest);
  auto record = take<DnsRecord>(rest);
  if ((flags & 1) != 0) record.checksum = checksum_of(key, record);
  const std::string_view held(record.name.data(), strnlen(record.name.data(), record.name.size()));
  for (const std::string_view name : {held, std::string_view("www.example")}) {
    const auto answer = read_dns_record(key, name, record, context);
    if (!answer) continue;
    require(name == held, "it is an answer to this very question");
    check_answer(*answer, record, context);
    // A record that was read can be written and read again.
    const auto again = make_dns_record(key, name, answer->resolution, context, answer->left_ms);
    require(again.has_value(), "an answer fits into a record");
    const DnsContext later{.setup = context.setup, .flushed_ms = 0, .now_ms = context.now_ms};
    const auto reread = read_dns_record(key, name, *again, later);
    require(context.now_ms == 0 || (reread && reread->resolution == answer->resolution),
            "it comes back as it was");
  }
  return 0;
}
