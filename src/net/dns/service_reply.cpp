#include "net/dns/service_reply.h"

#include <ares.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/hello/byte_reader.h"

namespace sni {
namespace {

constexpr std::uint16_t type_cname = 5;
constexpr std::uint16_t type_srv = 33;

using Message = std::span<const std::uint8_t>;

// Takes the name at the front of `reader`, which covers bytes up to the end of the message or less.
// Names may refer to earlier bytes.
std::optional<std::string> take_name(ByteReader& reader, Message message) {
  if (reader.empty()) return std::nullopt;
  char* text = nullptr;
  long encoded = 0;
  const int status = ares_expand_name(reader.rest().data(), message.data(),
                                      static_cast<int>(message.size()), &text, &encoded);
  if (status != ARES_SUCCESS) return std::nullopt;
  const std::unique_ptr<char, decltype(&ares_free_string)> owned(text, &ares_free_string);
  if (!reader.skip(static_cast<std::size_t>(encoded))) return std::nullopt;
  return std::string(text);
}

struct Record {
  std::uint16_t type = 0;
  std::uint64_t ttl_ms = 0;
  ByteReader data;
};

bool take_record(ByteReader& reader, Message message, Record& record) {
  std::uint16_t high = 0;
  std::uint16_t low = 0;
  if (!take_name(reader, message) || !reader.u16(record.type) || !reader.skip(2) ||
      !reader.u16(high) || !reader.u16(low) || !reader.prefixed_u16(record.data)) {
    return false;
  }
  // RFC 2181 section 8: a TTL with the highest bit set counts as 0.
  const std::uint64_t ttl_s = std::uint64_t{high} << 16 | low;
  record.ttl_ms = high >> 15 != 0 ? 0 : ttl_s * 1000;
  return true;
}

std::optional<ServiceTarget> target_of(ByteReader data, Message message) {
  ServiceTarget target;
  if (!data.u16(target.priority) || !data.u16(target.weight) || !data.u16(target.port)) {
    return std::nullopt;
  }
  auto host = take_name(data, message);
  if (!host || !data.empty()) return std::nullopt;
  target.host = *std::move(host);
  return target;
}

bool skip_questions(ByteReader& reader, Message message, std::uint16_t questions) {
  for (; questions > 0; --questions) {
    if (!take_name(reader, message) || !reader.skip(4)) return false;
  }
  return true;
}

DnsReply unreadable() {
  DnsReply reply;
  reply.status = DnsReply::Status::failed;
  return reply;
}

}  // namespace

DnsReply read_service_reply(Message message) {
  ByteReader reader(message);
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  if (!reader.skip(4) || !reader.u16(questions) || !reader.u16(answers) || !reader.skip(4) ||
      !skip_questions(reader, message, questions)) {
    return unreadable();
  }
  DnsReply reply;
  reply.status = DnsReply::Status::no_data;
  reply.ttl_ms = UINT64_MAX;
  for (; answers > 0; --answers) {
    Record record;
    if (!take_record(reader, message, record)) return unreadable();
    if (record.type != type_srv && record.type != type_cname) continue;
    // The answer expires no later than the aliases that led to it.
    reply.ttl_ms = std::min(reply.ttl_ms, record.ttl_ms);
    if (record.type == type_cname) continue;
    auto target = target_of(record.data, message);
    if (!target) return unreadable();
    reply.services.push_back(*std::move(target));
  }
  reply.services = usable_targets(std::move(reply.services));
  if (!reply.services.empty()) reply.status = DnsReply::Status::found;
  return reply;
}

}  // namespace sni
