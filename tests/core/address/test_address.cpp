// Addresses as text and as sockaddr: accepted forms, refused forms, and that both directions agree.

#include "core/address/address.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cstring>
#include <random>
#include <vector>

using namespace sni;

namespace {

std::string printed(std::string_view text) {
  const auto address = parse_ip(text);
  return address ? address->to_string() : "refused";
}

std::string printed_prefix(std::string_view text) {
  const auto prefix = parse_prefix(text);
  return prefix ? prefix->to_string() : "refused";
}

std::string printed_endpoint(std::string_view text) {
  const auto endpoint = parse_endpoint(text);
  return endpoint ? endpoint->to_string() : "refused";
}

// Addresses with many zero groups, since those are what "::" is about.
IpAddress random_address(std::mt19937& random) {
  IpAddress address;
  for (std::size_t group = 0; group < 8; ++group) {
    if (random() % 2 == 0) continue;
    address.bytes[2 * group] = static_cast<std::uint8_t>(random() % 3 == 0 ? random() : 0);
    address.bytes[2 * group + 1] = static_cast<std::uint8_t>(random());
  }
  return random() % 4 == 0 ? IpAddress::v4(192, 0, 2, address.bytes[3]) : address;
}

}  // namespace

TEST_CASE("an IPv4 address is four decimal numbers without leading zeros") {
  CHECK(printed("192.0.2.1") == "192.0.2.1");
  CHECK(printed("0.0.0.0") == "0.0.0.0");
  CHECK(printed("255.255.255.255") == "255.255.255.255");
  for (const char* text : {"",          ".",          "1",          "1.2",        "1.2.3",
                           "1.2.3.4.5", "1.2.3.",     ".1.2.3",     "1..2.3",     "256.0.0.1",
                           "01.2.3.4",  "1.2.3.04",   "0x7f.0.0.1", "0177.0.0.1", "2130706433",
                           "127.1",     " 1.2.3.4",   "1.2.3.4 ",   "1.2.3.4\n",  "+1.2.3.4",
                           "1.2.3.-4",  "1.2.3.4/32", "1.2.3.4:1",  "a.b.c.d",    "1.2.3.1000"}) {
    CAPTURE(text);
    CHECK(printed(text) == "refused");
  }
}

TEST_CASE("a NUL does not hide what follows it") {
  using namespace std::string_view_literals;
  CHECK(printed("192.0.2.1\0.example"sv) == "refused");
  CHECK(printed("2001:db8::1\0"sv) == "refused");
  CHECK(printed_endpoint("192.0.2.1\0:443"sv) == "refused");
}

TEST_CASE("IPv6 addresses are printed as RFC 5952 says") {
  CHECK(printed("::") == "::");
  CHECK(printed("::1") == "::1");
  CHECK(printed("1::") == "1::");
  CHECK(printed("2001:DB8::1") == "2001:db8::1");
  CHECK(printed("2001:0db8:0000:0000:0000:0000:0002:0001") == "2001:db8::2:1");
  CHECK_MESSAGE(printed("2001:db8:0:1:1:1:1:1") == "2001:db8:0:1:1:1:1:1", "one group stays");
  CHECK_MESSAGE(printed("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1", "the longest run");
  CHECK_MESSAGE(printed("2001:db8:0:0:1:0:0:1") == "2001:db8::1:0:0:1", "the first of two");
  CHECK(printed("1:2:3:4:5:6:0:0") == "1:2:3:4:5:6::");
  CHECK(printed("0:0:3:4:5:6:7:8") == "::3:4:5:6:7:8");
  CHECK_MESSAGE(printed("::1.2.3.4") == "::102:304", "no dotted tail outside of ::ffff:0:0/96");
}

TEST_CASE("a v4-mapped address is the IPv4 address") {
  CHECK(parse_ip("::ffff:192.0.2.1") == IpAddress::v4(192, 0, 2, 1));
  CHECK(parse_ip("::ffff:c000:201") == IpAddress::v4(192, 0, 2, 1));
  CHECK(printed("::FFFF:192.0.2.1") == "192.0.2.1");
  CHECK(IpAddress::v4(192, 0, 2, 1).is_v4());
  CHECK_FALSE(parse_ip("::192.0.2.1")->is_v4());
}

TEST_CASE("text that is not an IPv6 address is refused") {
  for (const char* text : {":", ":::", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
                           "12345::", "g::", "[::1]", "::1%eth0", "::1%1", "::ffff:1.2.3",
                           "::ffff:01.2.3.4", " ::1", "::1 ", "1:2:3:4:5:6:7:8::", "fe80::1/64",
                           "1111:2222:3333:4444:5555:6666:255.255.255.2555555555555555555555"}) {
    CAPTURE(text);
    CHECK(printed(text) == "refused");
  }
}

TEST_CASE("every address reads back from its own text") {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const IpAddress address = random_address(random);
    CAPTURE(address.to_string());
    REQUIRE(parse_ip(address.to_string()) == address);
  }
}

TEST_CASE("a prefix has no host bits and a length of its own family") {
  CHECK(printed_prefix("192.0.2.0/24") == "192.0.2.0/24");
  CHECK(printed_prefix("0.0.0.0/0") == "0.0.0.0/0");
  CHECK(printed_prefix("192.0.2.1/32") == "192.0.2.1");
  CHECK(printed_prefix("192.0.2.1") == "192.0.2.1");
  CHECK(printed_prefix("2001:db8::/32") == "2001:db8::/32");
  CHECK(printed_prefix("::/0") == "::/0");
  CHECK(printed_prefix("2001:db8::1") == "2001:db8::1");
  CHECK_MESSAGE(printed_prefix("::ffff:192.0.2.0/120") == "192.0.2.0/24", "v4-mapped");
  CHECK(parse_prefix("192.0.2.0/24")->length == 120);
  for (const char* text : {"192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/024", "192.0.2.0/", "/24", "",
                           "192.0.2.0/-1", "192.0.2.0/+24", "192.0.2.0/24/24", "192.0.2.0/24 ",
                           "2001:db8::/129", "2001:db8::1/32", "192.0.2/24", "::ffff:1.2.3.4/24"}) {
    CAPTURE(text);
    CHECK(printed_prefix(text) == "refused");
  }
}

TEST_CASE("a prefix holds its first and last address and neither neighbour") {
  const IpPrefix v4 = *parse_prefix("192.0.2.64/26");
  CHECK(v4.contains(*parse_ip("192.0.2.64")));
  CHECK(v4.contains(*parse_ip("192.0.2.127")));
  CHECK_FALSE(v4.contains(*parse_ip("192.0.2.63")));
  CHECK_FALSE(v4.contains(*parse_ip("192.0.2.128")));
  const IpPrefix v6 = *parse_prefix("2001:db8:8000::/33");
  CHECK(v6.contains(*parse_ip("2001:db8:8000::")));
  CHECK(v6.contains(*parse_ip("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")));
  CHECK_FALSE(v6.contains(*parse_ip("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff")));
  CHECK_FALSE(v6.contains(*parse_ip("2001:db9::")));
  CHECK(parse_prefix("192.0.2.1")->contains(*parse_ip("192.0.2.1")));
  CHECK_FALSE(parse_prefix("192.0.2.1")->contains(*parse_ip("192.0.2.0")));
}

TEST_CASE("the whole of one family holds nothing of the other") {
  CHECK(parse_prefix("0.0.0.0/0")->contains(*parse_ip("198.51.100.1")));
  CHECK_FALSE(parse_prefix("0.0.0.0/0")->contains(*parse_ip("2001:db8::1")));
  CHECK(parse_prefix("::/0")->contains(*parse_ip("2001:db8::1")));
  CHECK(parse_prefix("::/0")->contains(*parse_ip("::1")));
  CHECK_FALSE(parse_prefix("::/0")->contains(*parse_ip("198.51.100.1")));
  CHECK_FALSE(parse_prefix("::/80")->contains(*parse_ip("198.51.100.1")));
}

TEST_CASE("masking keeps exactly the first bits") {
  const IpAddress ones{
      {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}};
  for (unsigned length = 0; length <= 128; ++length) {
    const IpAddress masked = ones.masked(length);
    for (unsigned bit = 0; bit < 128; ++bit) {
      const bool set = (masked.bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
      REQUIRE(set == (bit < length));
    }
  }
}

TEST_CASE("an endpoint is an address and a port") {
  CHECK(printed_endpoint("192.0.2.1:443") == "192.0.2.1:443");
  CHECK(printed_endpoint("[2001:DB8:0::1]:443") == "[2001:db8::1]:443");
  CHECK(printed_endpoint("[::]:0") == "[::]:0");
  CHECK(printed_endpoint("0.0.0.0:65535") == "0.0.0.0:65535");
  CHECK_MESSAGE(printed_endpoint("[::ffff:192.0.2.1]:1") == "192.0.2.1:1", "v4-mapped");
  CHECK(printed_endpoint("[fe80::1%3]:443") == "[fe80::1%3]:443");
  CHECK(parse_endpoint("[fe80::1%3]:443")->scope == 3);
  for (const char* text : {"",
                           ":443",
                           "443",
                           "192.0.2.1",
                           "192.0.2.1:",
                           "192.0.2.1:0443",
                           "192.0.2.1:65536",
                           "192.0.2.1:-1",
                           "192.0.2.1:+1",
                           "192.0.2.1: 443",
                           "[192.0.2.1]:443",
                           "::1:443",
                           "[::1]",
                           "[::1]443",
                           "[::1:443",
                           "::1]:443",
                           "[]:443",
                           "[fe80::1%]:443",
                           "[fe80::1%0]:443",
                           "[fe80::1%03]:443",
                           "[fe80::1%eth0]:443",
                           "[fe80::1%2147483648]:443",
                           "[2001:db8::1%3]:443",
                           "example.com:443",
                           "127.1:443"}) {
    CAPTURE(text);
    CHECK(printed_endpoint(text) == "refused");
  }
}

TEST_CASE("a sockaddr carries family, address, port and scope there and back") {
  for (const char* text : {"192.0.2.1:443", "[2001:db8::1]:65535", "[fe80::1%7]:1", "0.0.0.0:0"}) {
    CAPTURE(text);
    const Endpoint endpoint = *parse_endpoint(text);
    sockaddr_storage storage;
    const socklen_t length = to_sockaddr(endpoint, storage);
    CHECK(storage.ss_family == (endpoint.ip.is_v4() ? AF_INET : AF_INET6));
    CHECK(length == (endpoint.ip.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
    CHECK(from_sockaddr(storage) == endpoint);
  }
}

TEST_CASE("a v4-mapped sockaddr comes out as IPv4 and a UNIX one not at all") {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(443);
  inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr);
  sockaddr_storage storage{};
  std::memcpy(&storage, &v6, sizeof v6);
  CHECK(from_sockaddr(storage) == parse_endpoint("192.0.2.1:443"));
  storage.ss_family = AF_UNIX;
  CHECK_FALSE(from_sockaddr(storage).has_value());
}

TEST_CASE("a link-local endpoint shows its interface by name where that is known") {
  const InterfaceNames names = [](std::uint32_t index) {
    return index == 2 ? std::string("eth0") : std::string();
  };
  CHECK(parse_endpoint("[fe80::1%2]:443")->to_string(names) == "[fe80::1%eth0]:443");
  CHECK(parse_endpoint("[fe80::1%3]:443")->to_string(names) == "[fe80::1%3]:443");
  CHECK(parse_endpoint("[fe80::1%2]:443")->to_string() == "[fe80::1%2]:443");
  CHECK(parse_endpoint("[2001:db8::1]:443")->to_string(names) == "[2001:db8::1]:443");
}
