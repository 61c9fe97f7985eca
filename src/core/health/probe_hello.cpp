#include "core/health/probe_hello.h"

#include <initializer_list>
#include <span>

#include "core/hello/tls_record.h"

namespace sni {
namespace {

using HelloBytes = std::vector<std::uint8_t>;

constexpr std::uint8_t client_hello = 1;

void put_u16(HelloBytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

// `content` after its length in two bytes.
void put_block(HelloBytes& out, std::span<const std::uint8_t> content) {
  put_u16(out, content.size());
  out.insert(out.end(), content.begin(), content.end());
}

HelloBytes list_of(std::initializer_list<std::uint16_t> values) {
  HelloBytes list;
  for (const std::uint16_t value : values) put_u16(list, value);
  return list;
}

void put_extension(HelloBytes& out, std::uint16_t type, std::span<const std::uint8_t> content) {
  put_u16(out, type);
  put_block(out, content);
}

HelloBytes block_of(std::span<const std::uint8_t> content) {
  HelloBytes block;
  put_block(block, content);
  return block;
}

HelloBytes extensions(std::string_view name) {
  HelloBytes out;
  if (!name.empty()) {
    HelloBytes entry{0};  // host_name (RFC 6066 3).
    put_u16(entry, name.size());
    entry.insert(entry.end(), name.begin(), name.end());
    put_extension(out, 0, block_of(entry));
  }
  put_extension(out, 10, block_of(list_of({0x001d, 0x0017, 0x0018})));  // supported_groups
  put_extension(out, 11, HelloBytes{1, 0});                             // ec_point_formats
  put_extension(out, 13,                                                // signature_algorithms
                block_of(list_of({0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0807, 0x0806,
                                  0x0601, 0x0603})));
  put_extension(out, 23, {});                         // extended_master_secret
  put_extension(out, 43, HelloBytes{4, 3, 4, 3, 3});  // supported_versions: 1.3, 1.2
  put_extension(out, 45, HelloBytes{1, 1});           // psk_key_exchange_modes
  put_extension(out, 51, HelloBytes{0, 0});           // key_share: none, tell us the group
  put_extension(out, 0xff01, HelloBytes{0});          // renegotiation_info
  return out;
}

}  // namespace

std::vector<std::uint8_t> probe_hello(std::string_view name, const HelloRandom& random) {
  HelloBytes body{3, 3};
  body.insert(body.end(), random.begin(), random.end());
  body.push_back(0);  // No session.
  put_block(body, list_of({0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
                           0x009c, 0x009d, 0x002f}));
  body.insert(body.end(), {1, 0});  // No compression.
  put_block(body, extensions(name));

  HelloBytes record{content_handshake, 3, 1};
  put_u16(record, body.size() + 4);
  record.insert(record.end(), {client_hello, 0});
  put_block(record, body);
  return record;
}

std::string_view probe_refusal(std::uint8_t first_byte) {
  return first_byte == content_alert ? "it answers with a TLS alert" : "";
}

}  // namespace sni
