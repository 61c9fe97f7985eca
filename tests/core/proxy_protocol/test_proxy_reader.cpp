// Where each MUST of proxy-protocol.txt has its test. Cases without a file are here; "writer" is
// test_proxy_writer.cpp beside this file, "crc32c" test_crc32c.cpp, "e2e"
// tests/e2e/test_proxy_protocol.py.
//
// 2    A receiver understands version 1      a line of version 1 has both ends
//      A receiver understands version 2      version 2 has both ends, and fields are skipped
//      Sent at once, and before all else     e2e version 1 comes before the hello in one piece,
//                                            version 2 tells the fields that are asked for
//      Nothing begins before a whole header  a header is the same however it is split; e2e no
//                                            backend sees a connection before its header is whole
//      One header in each UDP datagram       (we carry TCP only)
//      Configured, and never guessed         e2e others must not send one, the log says what is
//                                            wrong with a header
//      Not on multiplexed connections        (each client has a connection of its own)
// 2.1  Other protocols are UNKNOWN           writer a connection of our own has no client
//      UNKNOWN: the rest is ignored          everything after UNKNOWN is ignored
//      Addresses and ports are canonical     families, addresses and ports of version 1 are in
//                                            their canonical form, addresses of version 1 have all
//                                            their bits, and no more; writer version 1 is one line
//      Both ends are of the family           both ends of a line are of its family
//      Lines of 56, 104 and 107 bytes        the longest lines of version 1 are understood, a
//                                            line of version 1 that has no end within 107 bytes
//                                            is refused; writer the longest line of version 1 is
//                                            within its bound
//      Decoded only when CRLF is there       a header is the same however it is split
//      CR or LF alone end no line            a line of version 1 has exactly one space between its
//                                            words, and ends with CRLF
//      Anything else ends the connection     bytes that are not a header are recognised at the
//                                            first difference; e2e the log says what is wrong
// 2.2  The signature has a NUL inside        bytes that are not a header are recognised at the
//                                            first difference
//      Version 2 only                        another version, command, family or protocol is
//                                            refused; writer version 2 over IPv4 has the signature
//      LOCAL: valid, its block is ignored    of LOCAL nothing counts but the length; e2e
//                                            connections of the proxy itself keep their ends
//      PROXY: the block has the ends         version 2 has both ends, and fields are skipped
//      Other commands are refused            another version, command, family or protocol
//      Other families are refused            another version, command, family or protocol
//      Other protocols are refused           another version, command, family or protocol
//      None of these is ever sent            writer what we send of version 2 has no unassigned
//                                            value
//      UNSPEC, and what we do not carry      the connection's own ends apply if version 2 has no
//                                            TCP over IP
//      The length counts, for LOCAL too      of LOCAL nothing counts but the length
//      No address before its whole block     a header is the same however it is split, addresses
//                                            that do not fit into the length are refused
//      A part of a header is refused         e2e no backend sees a connection before its header is
//                                            whole, header and hello have one deadline
//      Neither version: refused              bytes that are not a header are recognised
// 2.2.3 Sent: over all, with itself as 0     writer the checksum covers the whole header, and comes
//                                            last, a checksum is the one that others compute
//      Received: the same, and refused       a checksum that is there must be right; crc32c
//      if it is another
// 5    Only configuration decides            e2e others must not send one

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

TEST_CASE("addresses of version 1 have all their bits, and no more") {
  for (const std::string_view address :
       {"256.0.2.7", "192.0.2.7.1", "192.0.2.", "192..2.7", ".192.0.2.7", "192.0.2.0x7"}) {
    CAPTURE(address);
    CHECK(read("PROXY TCP4 " + std::string(address) + " 198.51.100.1 50123 443\r\n") ==
          fails(ProxyError::malformed));
  }
  for (const std::string_view address :
       {"2001:db8:7", "2001:db8::7::1", "2001:db8:0:0:0:0:0:0:1", "2001:db8:0:0:0:0:1",
        "20010:db8::7", "2001:db8::g", ":2001:db8::7", "2001:db8::7:"}) {
    CAPTURE(address);
    CHECK(read("PROXY TCP6 " + std::string(address) + " 2001:db8::1 50123 443\r\n") ==
          fails(ProxyError::malformed));
  }
}

TEST_CASE("both ends of a line are of its family") {
  for (const std::string_view line : {
           "PROXY TCP4 192.0.2.7 2001:db8::1 50123 443\r\n",
           "PROXY TCP4 2001:db8::7 2001:db8::1 50123 443\r\n",
           "PROXY TCP6 2001:db8::7 198.51.100.1 50123 443\r\n",
           "PROXY TCP6 192.0.2.7 198.51.100.1 50123 443\r\n",
       }) {
    CAPTURE(line);
    CHECK(read(line) == fails(ProxyError::malformed));
  }
}

TEST_CASE("the longest lines of version 1 are understood") {
  const std::string ipv4 = "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n";
  const std::string full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  const std::string ipv6 = "PROXY TCP6 " + full + " " + full + " 65535 65535\r\n";
  CHECK(ipv4.size() == 56);
  CHECK(ipv6.size() == 104);
  for (const std::string& line : {ipv4, ipv6}) {
    const Reading reading = read_in_pieces(proxy_bytes(line + "hello"));
    REQUIRE(reading.has_value());
    CHECK(reading->header.size == line.size());
    REQUIRE(reading->header.ends);
    CHECK(reading->header.ends->source.port == 65535);
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
