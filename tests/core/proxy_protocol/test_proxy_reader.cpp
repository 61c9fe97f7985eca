// Each MUST of proxy-protocol.txt that concerns a receiver is a case here.

#include "core/proxy_protocol/proxy_reader.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "core/limits.h"
#include "support/proxy_bytes.h"

using namespace sni;
using namespace sni::test;

namespace {

using Reading = std::expected<ProxyReading, ProxyError>;

Reading read(std::string_view text) {
  return read_proxy_header(proxy_bytes(text));
}

Reading fails(ProxyError error) {
  return std::unexpected(error);
}

// Gives the reader as much as it asks for, byte by byte if it asks for one more.
Reading read_in_pieces(const ProxyBytes& bytes) {
  std::size_t there = 1;
  for (;;) {
    const Reading reading = read_proxy_header(std::span(bytes).first(there));
    if (!reading || reading->needed == 0) return reading;
    CHECK(reading->needed > there);
    if (reading->needed > bytes.size()) return reading;
    there = reading->needed;
  }
}

ProxyBytes v2_ipv4(std::uint8_t command = 0x21, const ProxyBytes& fields = {}) {
  return v2_bytes(command, 0x11,
                  joined({192, 0, 2, 7, 198, 51, 100, 1, 0xc3, 0xcb, 0x01, 0xbb}, fields));
}

const ProxyHeader::Ends ipv4_ends{ends_at("192.0.2.7:50123"), ends_at("198.51.100.1:443")};

}  // namespace

TEST_CASE("a line of version 1 has both ends") {
  const Reading ipv4 = read("PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\nhello");
  REQUIRE(ipv4.has_value());
  CHECK(ipv4->header.ends == ipv4_ends);
  CHECK(ipv4->header.size == 45);
  const Reading ipv6 = read("PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:1 0 65535\r\n");
  REQUIRE(ipv6.has_value());
  CHECK(ipv6->header.ends == ProxyHeader::Ends{{.ip = parse_ip("2001:db8::7").value(), .port = 0},
                                               ends_at("[2001:db8::1]:65535")});
  const Reading mapped = read("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 50123 443\r\n");
  REQUIRE(mapped.has_value());
  CHECK_MESSAGE(mapped->header.ends == ipv4_ends, "mapped IPv4 counts as IPv4");
}

TEST_CASE("everything after UNKNOWN is ignored") {
  for (const std::string_view line :
       {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN 1 2 3\r\n", "PROXY UNKNOWN  \x01\x80 x\r\n"}) {
    CAPTURE(line);
    const Reading reading = read(line);
    REQUIRE(reading.has_value());
    CHECK_FALSE(reading->header.ends);
    CHECK(reading->header.size == line.size());
  }
  const std::string longest =
      "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
  CHECK(longest.size() == 107);
  CHECK(read(longest).has_value());
}

TEST_CASE("a line of version 1 has exactly one space between its words, and ends with CRLF") {
  for (const std::string_view line : {
           "PROXY  TCP4 192.0.2.7 198.51.100.1 50123 443\r\n",
           "PROXY TCP4  192.0.2.7 198.51.100.1 50123 443\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 50123 443 \r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 50123 443 1\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 50123\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 50123 \r\n",
           "PROXY TCP4\t192.0.2.7 198.51.100.1 50123 443\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\rx",
           "PROXY TCP4\r\n",
           "PROXY \r\n",
       }) {
    CAPTURE(line);
    CHECK(read(line) == fails(ProxyError::malformed));
  }
}

TEST_CASE("families, addresses and ports of version 1 are in their canonical form") {
  for (const std::string_view line : {
           "PROXY TCP5 192.0.2.7 198.51.100.1 50123 443\r\n",
           "PROXY tcp4 192.0.2.7 198.51.100.1 50123 443\r\n",
           "PROXY UDP4 192.0.2.7 198.51.100.1 50123 443\r\n",
           "PROXY UNKNOWNS\r\n",
           "PROXY TCP4 192.0.2.07 198.51.100.1 50123 443\r\n",
           "PROXY TCP4 192.0.2 198.51.100.1 50123 443\r\n",
           "PROXY TCP4 2001:db8::7 198.51.100.1 50123 443\r\n",
           "PROXY TCP4 ::ffff:192.0.2.7 198.51.100.1 50123 443\r\n",
           "PROXY TCP6 192.0.2.7 2001:db8::1 50123 443\r\n",
           "PROXY TCP6 [2001:db8::7] 2001:db8::1 50123 443\r\n",
           "PROXY TCP6 fe80::1%lo 2001:db8::1 50123 443\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 050123 443\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 00 443\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
           "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
           "PROXY TCP4 a.example 198.51.100.1 50123 443\r\n",
       }) {
    CAPTURE(line);
    CHECK(read(line) == fails(ProxyError::malformed));
  }
}

TEST_CASE("a line of version 1 that has no end within 107 bytes is refused") {
  const std::string line = "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n";
  CHECK(line.size() == 107);
  CHECK(read(line).has_value());
  CHECK(read("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n") == fails(ProxyError::oversized));
  CHECK(read("PROXY UNKNOWN " + std::string(93, 'x')) == fails(ProxyError::oversized));
  CHECK(read("PROXY UNKNOWN " + std::string(92, 'x'))->needed == 107);
}

TEST_CASE("bytes that are not a header are recognised at the first difference") {
  for (const std::string_view text :
       {"\x16\x03\x01", "GET / HTTP/1.1\r\n", "PROXYTCP4", "proxy TCP4", "PROX\r\n", "PUT / "}) {
    CAPTURE(text);
    CHECK(read(text) == fails(ProxyError::missing));
    CHECK_FALSE(begins_proxy_header(proxy_bytes(text)));
  }
  CHECK(read(std::string_view("\r\n\r\n\0\r\nQUIT ", 12)) == fails(ProxyError::missing));
  CHECK(begins_proxy_header(proxy_bytes("PROXY T")));
  CHECK(begins_proxy_header(proxy_bytes("\r\n\r")));
}

TEST_CASE("version 2 has both ends, and fields are skipped") {
  const Reading reading = read_proxy_header(joined(v2_ipv4(), {0x16, 0x03}));
  REQUIRE(reading.has_value());
  CHECK(reading->header.ends == ipv4_ends);
  CHECK(reading->header.size == 28);
  const Reading fields =
      read_proxy_header(v2_ipv4(0x21, {0x04, 0, 2, 0, 0, 0xee, 0, 1, 7, 0x01, 0, 0}));
  REQUIRE(fields.has_value());
  CHECK(fields->header.ends == ipv4_ends);
  CHECK(fields->header.size == 40);
}

TEST_CASE("of LOCAL nothing counts but the length") {
  for (const ProxyBytes& bytes :
       {v2_bytes(0x20, 0x00, {}), v2_ipv4(0x20), v2_bytes(0x20, 0xff, {1, 2, 3}),
        v2_ipv4(0x20, {0x03, 0, 4, 1, 2, 3, 4})}) {
    const Reading reading = read_proxy_header(bytes);
    REQUIRE(reading.has_value());
    CHECK_FALSE(reading->header.ends);
    CHECK(reading->header.size == bytes.size());
  }
}

TEST_CASE("the connection's own ends apply if version 2 has no TCP over IP") {
  const ProxyBytes unix_block(216, 'u');
  for (const ProxyBytes& bytes :
       {v2_bytes(0x21, 0x00, {}), v2_bytes(0x21, 0x00, {0x04, 0, 0}),
        v2_bytes(0x21, 0x31, unix_block), v2_bytes(0x21, 0x32, unix_block),
        v2_bytes(0x21, 0x12, ProxyBytes(12, 1)), v2_bytes(0x21, 0x22, ProxyBytes(36, 1)),
        v2_bytes(0x21, 0x10, ProxyBytes(12, 1))}) {
    const Reading reading = read_proxy_header(bytes);
    REQUIRE(reading.has_value());
    CHECK_FALSE(reading->header.ends);
    CHECK(reading->header.size == bytes.size());
  }
}

TEST_CASE("another version, command, family or protocol is refused") {
  for (const std::uint8_t command : {0x22, 0x2f, 0x11, 0x31, 0x01, 0x00, 0xff}) {
    CAPTURE(command);
    CHECK(read_proxy_header(v2_ipv4(command)) == fails(ProxyError::malformed));
  }
  for (const std::uint8_t family : {0x41, 0xf1, 0x13, 0x1f, 0x23, 0x04}) {
    CAPTURE(family);
    CHECK(read_proxy_header(v2_bytes(0x21, family, ProxyBytes(216, 0))) ==
          fails(ProxyError::malformed));
  }
}

TEST_CASE("addresses that do not fit into the length are refused") {
  CHECK(read_proxy_header(v2_bytes(0x21, 0x11, ProxyBytes(11, 0))) == fails(ProxyError::malformed));
  CHECK(read_proxy_header(v2_bytes(0x21, 0x21, ProxyBytes(35, 0))) == fails(ProxyError::malformed));
  CHECK(read_proxy_header(v2_bytes(0x21, 0x31, ProxyBytes(215, 0))) ==
        fails(ProxyError::malformed));
}

TEST_CASE("fields that do not fit are refused") {
  for (const ProxyBytes& fields : std::initializer_list<ProxyBytes>{
           {1}, {1, 0}, {1, 0, 1}, {1, 0xff, 0xff, 0}, {4, 0, 0, 1}}) {
    CHECK(read_proxy_header(v2_ipv4(0x21, fields)) == fails(ProxyError::malformed));
  }
  CHECK_MESSAGE(
      read_proxy_header(v2_ipv4(0x21, {3, 0, 3, 1, 2, 3})) == fails(ProxyError::malformed),
      "a checksum has four bytes");
}

TEST_CASE("a checksum that is there must be right") {
  const ProxyForm form{.version = ProxyVersion::v2, .crc32c = true};
  ProxyBytes bytes = written(form, {.source = ipv4_ends.source,
                                    .destination = ipv4_ends.destination,
                                    .alpn = {},
                                    .authority = {},
                                    .unique_id = {}});
  CHECK(read_proxy_header(bytes).has_value());
  bytes.back() ^= 1;
  CHECK(read_proxy_header(bytes) == fails(ProxyError::checksum));
}

TEST_CASE("a header beyond the bound is refused before it is there") {
  const std::size_t room = limits::proxy_header_bytes - 16;
  ProxyBytes bytes = v2_bytes(0x20, 0, ProxyBytes(room, 0));
  CHECK(read_proxy_header(bytes)->header.size == limits::proxy_header_bytes);
  bytes = v2_bytes(0x21, 0x11, ProxyBytes(room + 1, 0));
  bytes.resize(16);
  CHECK(read_proxy_header(bytes) == fails(ProxyError::oversized));
}

TEST_CASE("a header is the same however it is split") {
  for (const ProxyBytes& bytes :
       {proxy_bytes("PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\n"),
        proxy_bytes("PROXY UNKNOWN\r\n"), v2_ipv4(), v2_ipv4(0x21, {4, 0, 1, 9})}) {
    CHECK(read_in_pieces(bytes) == read_proxy_header(bytes));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      CAPTURE(cut);
      const Reading reading = read_proxy_header(std::span(bytes).first(cut));
      REQUIRE(reading.has_value());
      CHECK(reading->needed > cut);
      CHECK(reading->needed <= bytes.size());
      CHECK(begins_proxy_header(std::span(bytes).first(cut)));
    }
  }
}
