#include "core/dns/dns_question.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sni;

namespace {

using Reply = DnsReply::Status;

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

DnsReply found(std::vector<IpAddress> addresses, std::uint64_t ttl_ms = 60'000) {
  return {.status = Reply::found, .addresses = std::move(addresses), .ttl_ms = ttl_ms};
}

DnsReply none(Reply status) {
  return {.status = status};
}

Resolution::Status verdict(Reply v6, Reply v4) {
  DnsQuestion question({"a.example"});
  question.on_reply(DnsFamily::v6, none(v6));
  question.on_reply(DnsFamily::v4, none(v4));
  REQUIRE(question.complete());
  CHECK_FALSE(question.advance());
  return question.outcome().status;
}

}  // namespace

TEST_CASE("both families are joined in turns, IPv6 first") {
  DnsQuestion question({"a.example"});
  question.on_reply(DnsFamily::v4, found({ip("192.0.2.1"), ip("192.0.2.2")}, 5'000));
  CHECK_FALSE(question.complete());
  CHECK(question.has_address());
  CHECK(question.outcome().count() == 2);
  question.on_reply(DnsFamily::v6, found({ip("2001:db8::1")}, 9'000));
  CHECK(question.complete());
  CHECK_FALSE(question.advance());
  const Resolution outcome = question.outcome();
  CHECK(outcome.status == Resolution::Status::ok);
  REQUIRE(outcome.count() == 3);
  CHECK(outcome.list()[0] == ip("2001:db8::1"));
  CHECK(outcome.list()[1] == ip("192.0.2.1"));
  CHECK(outcome.list()[2] == ip("192.0.2.2"));
  CHECK(question.ttl_ms(1) == 5'000);
}

TEST_CASE("more addresses than fit are shared between the families") {
  std::vector<IpAddress> v6(limits::backend_addresses_max, ip("2001:db8::1"));
  std::vector<IpAddress> v4(limits::backend_addresses_max, ip("192.0.2.1"));
  const Resolution outcome = Resolution::of(v6, v4, AddressFamilies::any);
  REQUIRE(outcome.count() == limits::backend_addresses_max);
  CHECK(std::ranges::count_if(outcome.list(), &IpAddress::is_v4) ==
        limits::backend_addresses_max / 2);
  CHECK(Resolution::of({}, v4, AddressFamilies::any).count() == limits::backend_addresses_max);
}

TEST_CASE(
    "an address counts whatever became of the other family, but not for long after a failure") {
  for (const Reply other : {Reply::no_data, Reply::no_name, Reply::failed, Reply::unreachable}) {
    DnsQuestion question({"a.example", "a"});
    question.on_reply(DnsFamily::v6, none(other));
    question.on_reply(DnsFamily::v4, found({ip("192.0.2.1")}));
    CHECK_FALSE(question.advance());
    CHECK(question.outcome().status == Resolution::Status::ok);
    const bool failed = other == Reply::failed || other == Reply::unreachable;
    CHECK(question.ttl_ms(1'000) == (failed ? 1'000 : 60'000));
  }
}

TEST_CASE("a name without an address is told from one that does not exist, and from a failure") {
  using Status = Resolution::Status;
  CHECK(verdict(Reply::no_data, Reply::no_data) == Status::no_address);
  CHECK(verdict(Reply::no_data, Reply::no_name) == Status::not_found);
  CHECK(verdict(Reply::no_name, Reply::no_name) == Status::not_found);
  CHECK(verdict(Reply::no_name, Reply::failed) == Status::not_found);
  CHECK(verdict(Reply::unreachable, Reply::no_name) == Status::not_found);
  CHECK(verdict(Reply::no_data, Reply::failed) == Status::failed);
  CHECK(verdict(Reply::failed, Reply::no_data) == Status::failed);
  CHECK(verdict(Reply::no_data, Reply::unreachable) == Status::failed);
  CHECK(verdict(Reply::unreachable, Reply::unreachable) == Status::failed);
  CHECK(verdict(Reply::no_data, Reply::silent) == Status::unanswered);
  CHECK(verdict(Reply::silent, Reply::silent) == Status::unanswered);
  CHECK(verdict(Reply::silent, Reply::failed) == Status::failed);
  CHECK(verdict(Reply::failed, Reply::unreachable) == Status::failed);
}

TEST_CASE("a candidate without addresses leads to the next one") {
  DnsQuestion question({"web.a", "web.b", "web"});
  for (const char* name : {"web.a", "web.b"}) {
    CHECK(question.candidate() == name);
    question.on_reply(DnsFamily::v6, none(Reply::no_name));
    question.on_reply(DnsFamily::v4, none(Reply::no_data));
    CHECK(question.advance());
    CHECK_FALSE(question.complete());
  }
  CHECK(question.candidate() == "web");
  question.on_reply(DnsFamily::v6, none(Reply::no_name));
  question.on_reply(DnsFamily::v4, none(Reply::no_name));
  CHECK_FALSE(question.advance());
  CHECK(question.outcome().status == Resolution::Status::not_found);
}

TEST_CASE("one candidate that exists without addresses is enough to say so") {
  DnsQuestion question({"web.a", "web"});
  question.on_reply(DnsFamily::v6, none(Reply::no_data));
  question.on_reply(DnsFamily::v4, none(Reply::no_data));
  REQUIRE(question.advance());
  question.on_reply(DnsFamily::v6, none(Reply::no_name));
  question.on_reply(DnsFamily::v4, none(Reply::no_name));
  CHECK_FALSE(question.advance());
  CHECK(question.outcome().status == Resolution::Status::no_address);
}

TEST_CASE("a candidate that fails does not end the search but is remembered") {
  DnsQuestion question({"web.a", "web"});
  question.on_reply(DnsFamily::v6, none(Reply::failed));
  question.on_reply(DnsFamily::v4, none(Reply::failed));
  REQUIRE(question.advance());
  question.on_reply(DnsFamily::v6, none(Reply::no_name));
  question.on_reply(DnsFamily::v4, none(Reply::no_name));
  CHECK_FALSE(question.advance());
  CHECK(question.outcome().status == Resolution::Status::failed);
}

TEST_CASE("resolvers out of reach end the search") {
  DnsQuestion question({"web.a", "web"});
  question.on_reply(DnsFamily::v6, none(Reply::silent));
  question.on_reply(DnsFamily::v4, none(Reply::no_data));
  CHECK_FALSE(question.advance());
  CHECK(question.outcome().status == Resolution::Status::unanswered);
}

TEST_CASE("a family that is not wanted is not waited for, and does not count") {
  for (const AddressFamilies wanted : {AddressFamilies::ipv4, AddressFamilies::ipv6}) {
    const bool v4 = wanted == AddressFamilies::ipv4;
    const DnsFamily family = v4 ? DnsFamily::v4 : DnsFamily::v6;
    DnsQuestion question({"web.a.example", "web"}, wanted);
    CHECK(question.wants(family));
    CHECK_FALSE(question.wants(v4 ? DnsFamily::v6 : DnsFamily::v4));
    CHECK_FALSE(question.complete());
    question.on_reply(family, none(Reply::no_data));
    REQUIRE(question.complete());
    REQUIRE(question.advance());
    CHECK_FALSE(question.complete());
    question.on_reply(family, found({ip(v4 ? "192.0.2.1" : "2001:db8::1")}));
    REQUIRE(question.complete());
    CHECK_FALSE(question.advance());
    CHECK(question.outcome().count() == 1);
    CHECK(question.ttl_ms(1'000) == 60'000);
  }
}
