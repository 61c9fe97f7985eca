#include "core/dns/dns_record.h"

#include <doctest/doctest.h>

#include <string>

#include "support/resolution.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr SipKey record_key{0x0123456789abcdef, 0xfedcba9876543210};
constexpr DnsContext stored{.setup = 7, .flushed_ms = 0, .now_ms = 1'000};

DnsRecord record(std::string_view name = "www.example") {
  return make_dns_record(record_key, name, addresses({"192.0.2.1", "2001:db8::1"}), stored, 500)
      .value();
}

DnsContext later(std::uint64_t now_ms) {
  return {.setup = 7, .flushed_ms = 0, .now_ms = now_ms};
}

}  // namespace

TEST_CASE("a record is the answer to its name until it expires") {
  const auto answer = read_dns_record(record_key, "www.example", record(), later(1'499));
  REQUIRE(answer);
  CHECK(answer->resolution == addresses({"192.0.2.1", "2001:db8::1"}));
  CHECK(answer->left_ms == 1);
  CHECK(read_dns_record(record_key, "www.example", record(), later(1'000))->left_ms == 500);
  CHECK_FALSE(read_dns_record(record_key, "www.example", record(), later(1'500)));
  CHECK_FALSE(read_dns_record(record_key, "www.example", record(), later(~std::uint64_t{0})));
}

TEST_CASE("a record is no answer to another name, nor to a part of its own") {
  for (const char* name : {"ww.example", "www.example.", "www.exampl", "www.examplee", ""}) {
    CHECK_FALSE(read_dns_record(record_key, name, record(), later(1'100)));
  }
}

TEST_CASE("a record with any changed byte is invalid: torn or forged ones are not used") {
  const DnsRecord whole = record();
  for (std::size_t at = 0; at < sizeof whole; ++at) {
    DnsRecord changed = whole;
    reinterpret_cast<unsigned char*>(&changed)[at] ^= 1;
    CHECK_FALSE(read_dns_record(record_key, "www.example", changed, later(1'100)));
  }
  CHECK_FALSE(read_dns_record({1, 2}, "www.example", whole, later(1'100)));
  CHECK_FALSE(read_dns_record(record_key, "www.example", DnsRecord{}, later(1'100)));
}

TEST_CASE("the first half of one record with the second of another is invalid") {
  const auto other =
      make_dns_record(record_key, "two.example", addresses({"192.0.2.66"}), stored, 500);
  DnsRecord torn = record("one.example");
  torn.addresses = other.value().addresses;
  CHECK_FALSE(read_dns_record(record_key, "one.example", torn, later(1'100)));
}

TEST_CASE("answers of other resolvers, from before a flush and from the future do not count") {
  CHECK(read_dns_record(record_key, "www.example", record(),
                        {.setup = 7, .flushed_ms = 999, .now_ms = 1'100}));
  CHECK_FALSE(read_dns_record(record_key, "www.example", record(),
                              {.setup = 8, .flushed_ms = 0, .now_ms = 1'100}));
  CHECK_FALSE(read_dns_record(record_key, "www.example", record(),
                              {.setup = 7, .flushed_ms = 1'000, .now_ms = 1'100}));
  CHECK_FALSE(read_dns_record(record_key, "www.example", record(), later(999)));
}

TEST_CASE(
    "a record with an impossible count of addresses is invalid, even under a correct checksum") {
  for (const std::uint32_t count : {0u, 17u, ~0u}) {
    DnsRecord changed = record();
    changed.count = count;
    changed.checksum = checksum_of(record_key, changed);
    CHECK_FALSE(read_dns_record(record_key, "www.example", changed, later(1'100)));
  }
}

TEST_CASE("the longest name and all addresses fit, a longer name and more do not") {
  const std::string longest(limits::server_name_max + 1, 'a');
  std::vector<IpAddress> list;
  for (std::uint8_t i = 0; i < limits::dns_record_addresses_max; ++i) {
    list.push_back(IpAddress::v4(192, 0, 2, i));
  }
  const Resolution full = Resolution::of(list);
  const auto made = make_dns_record(record_key, longest, full, stored, 500);
  REQUIRE(made);
  CHECK(read_dns_record(record_key, longest, *made, later(1'100))->resolution == full);
  CHECK_FALSE(make_dns_record(record_key, std::string(256, 'a'), full, stored, 500));
  list.push_back(IpAddress::v4(192, 0, 2, 99));
  CHECK_FALSE(make_dns_record(record_key, longest, Resolution::of(list), stored, 500));
}

TEST_CASE("only addresses become a record") {
  for (const Resolution& answer : {not_found, failed}) {
    CHECK_FALSE(make_dns_record(record_key, "www.example", answer, stored, 500));
  }
}
