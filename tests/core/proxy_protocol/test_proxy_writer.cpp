#include "core/proxy_protocol/proxy_writer.h"

#include <doctest/doctest.h>

#include <string>

#include "core/proxy_protocol/proxy_reader.h"
#include "support/proxy_bytes.h"

using namespace sni;
using namespace sni::test;

namespace {

const ProxyFacts ipv4{.source = ends_at("192.0.2.7:50123"),
                      .destination = ends_at("198.51.100.1:443"),
                      .alpn = "h2",
                      .authority = "a.example",
                      .unique_id = "1-42"};
const ProxyFacts ipv6{.source = ends_at("[2001:db8::7]:50123"),
                      .destination = ends_at("[2001:db8::1]:443"),
                      .alpn = {},
                      .authority = {},
                      .unique_id = {}};

constexpr ProxyForm v1{.version = ProxyVersion::v1};
constexpr ProxyForm v2{.version = ProxyVersion::v2};

}  // namespace

TEST_CASE("version 1 is one line") {
  CHECK(text_of(written(v1, ipv4)) == "PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\n");
  CHECK(text_of(written(v1, ipv6)) == "PROXY TCP6 2001:db8::7 2001:db8::1 50123 443\r\n");
}

TEST_CASE("version 2 over IPv4 has the signature, 12 bytes of addresses, and nothing else") {
  const ProxyBytes expected{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                            0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c, 192,  0,    2,    7,
                            198,  51,   100,  1,    0xc3, 0xcb, 0x01, 0xbb};
  CHECK(written(v2, ipv4) == expected);
}

TEST_CASE("version 2 over IPv6 has 36 bytes of addresses") {
  const ProxyBytes bytes = written(v2, ipv6);
  REQUIRE(bytes.size() == 52);
  CHECK(bytes[13] == 0x21);
  CHECK(bytes[15] == 36);
  CHECK(bytes[16] == 0x20);
  CHECK(bytes[31] == 0x07);
  CHECK(bytes[47] == 0x01);
}

TEST_CASE("addresses of two families are both written as IPv6") {
  const ProxyFacts mixed{.source = ipv4.source,
                         .destination = ipv6.destination,
                         .alpn = {},
                         .authority = {},
                         .unique_id = {}};
  CHECK(text_of(written(v1, mixed)) == "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 50123 443\r\n");
  const ProxyBytes bytes = written(v2, mixed);
  const auto reading = read_proxy_header(bytes);
  REQUIRE(reading.has_value());
  CHECK(reading->header.ends == ProxyHeader::Ends{mixed.source, mixed.destination});
  CHECK(bytes[13] == 0x21);
}

TEST_CASE("version 2 has the requested fields, in the order of their types") {
  ProxyForm form = v2;
  form.alpn = form.authority = form.unique_id = true;
  const ProxyBytes fields = proxy_bytes(std::string("\x01\x00\x02h2", 5) +
                                        std::string("\x02\x00\x09"
                                                    "a.example",
                                                    12) +
                                        std::string("\x05\x00\x04"
                                                    "1-42",
                                                    7));
  const ProxyBytes bytes = written(form, ipv4);
  CHECK(bytes ==
        joined(v2_bytes(0x21, 0x11,
                        joined(ProxyBytes(bytes.begin() + 16, bytes.begin() + 28), fields)),
               {}));
  CHECK_MESSAGE(written(form, ipv6) == written(v2, ipv6), "what is empty is left out");
}

TEST_CASE("the checksum covers the whole header, and comes last") {
  ProxyForm form = v2;
  form.authority = form.crc32c = true;
  ProxyBytes bytes = written(form, ipv4);
  CHECK(read_proxy_header(bytes).has_value());
  CHECK(bytes[bytes.size() - 7] == 0x03);
  for (std::size_t at = 16; at < bytes.size(); ++at) {
    if (at >= 28 && at < 31) continue;  // Type and length of a field.
    if (at >= bytes.size() - 7 && at < bytes.size() - 4) continue;
    ProxyBytes spoilt = bytes;
    spoilt[at] ^= 0x40;
    CAPTURE(at);
    CHECK(read_proxy_header(spoilt) == std::unexpected(ProxyError::checksum));
  }
}

TEST_CASE("a checksum is the one that others compute") {
  ProxyForm form = v2;
  form.crc32c = true;
  const ProxyBytes bytes = written(form, ipv4);
  // By another program, over these 35 bytes with 0 in its place.
  CHECK(ProxyBytes(bytes.end() - 7, bytes.end()) ==
        ProxyBytes{0x03, 0x00, 0x04, 0x35, 0xf0, 0x16, 0x2f});
}

TEST_CASE("what we send of version 2 has no unassigned value") {
  for (const ProxyFacts& facts : {ipv4, ipv6}) {
    const ProxyBytes bytes = written(v2, facts);
    CHECK(bytes[12] == 0x21);  // Version 2, PROXY.
    CHECK((bytes[13] == 0x11 || bytes[13] == 0x21));
  }
  ProxyHeaderSpace space;
  const auto local = write_proxy_local(ProxyVersion::v2, ipv4, space);
  CHECK(local[12] == 0x20);  // LOCAL: without a family and addresses.
  CHECK(local[13] == 0x00);
  CHECK(local[14] + local[15] == 0);
}

TEST_CASE("the longest texts fit, and longer ones are left out") {
  const std::string alpn(255, 'a');
  const std::string name(limits::server_name_max, 'n');
  const std::string id(proxy_wire::unique_id_bytes_max, 'i');
  const ProxyForm all{.version = ProxyVersion::v2,
                      .alpn = true,
                      .authority = true,
                      .unique_id = true,
                      .crc32c = true};
  ProxyFacts facts = ipv6;
  facts.alpn = alpn;
  facts.authority = name;
  facts.unique_id = id;
  CHECK(written(all, facts).size() == proxy_header_bytes_max);
  const std::string longer(256, 'x');
  facts.alpn = facts.authority = facts.unique_id = longer;
  CHECK(written(all, facts).size() == 16 + 36 + 7);
}

TEST_CASE("the longest line of version 1 is within its bound") {
  const Endpoint longest{.ip = parse_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").value(),
                         .port = 65535};
  const ProxyFacts facts{
      .source = longest, .destination = longest, .alpn = {}, .authority = {}, .unique_id = {}};
  CHECK(written(v1, facts).size() == 104);
}

TEST_CASE("a connection of our own has no client") {
  ProxyHeaderSpace space;
  CHECK(text_of(write_proxy_local(ProxyVersion::v1, {}, space)) == "PROXY UNKNOWN\r\n");
  CHECK(text_of(write_proxy_local(ProxyVersion::v1, ipv4, space)) ==
        "PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\n");
  const auto bytes = write_proxy_local(ProxyVersion::v2, ipv4, space);
  REQUIRE(bytes.size() == 16);
  CHECK(bytes[12] == 0x20);
  CHECK(bytes[13] == 0x00);
  const auto reading = read_proxy_header(bytes);
  REQUIRE(reading.has_value());
  CHECK_FALSE(reading->header.ends);
}
