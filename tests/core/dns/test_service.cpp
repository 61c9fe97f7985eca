#include "core/dns/service.h"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "core/dns/dns_question.h"
#include "core/limits.h"

using namespace sni;

namespace {

ServiceTarget service_target(std::string host, std::uint16_t priority, std::uint16_t weight) {
  return {.host = std::move(host), .port = 443, .priority = priority, .weight = weight};
}

}  // namespace

TEST_CASE("unusable targets are left out, and names keep one trailing dot") {
  std::vector<ServiceTarget> targets{service_target(".", 0, 0), service_target("B.Example", 2, 1),
                                     service_target("a b.example", 1, 1),
                                     service_target("192.0.2.1", 1, 1),
                                     service_target("a.example.", 1, 1)};
  targets.push_back(service_target("c.example", 0, 0));
  targets.back().port = 0;
  const auto usable = usable_targets(targets);
  REQUIRE(usable.size() == 2);
  CHECK(usable[0].host == "a.example.");
  CHECK(usable[1].host == "b.example.");
  CHECK(usable_targets({service_target("", 0, 0)}).empty());
}

TEST_CASE("of too many targets the most preferred are kept") {
  std::vector<ServiceTarget> many;
  for (std::uint16_t i = 0; i < 200; ++i) {
    many.push_back(service_target("t" + std::to_string(i) + ".example", 200 - i, 1));
  }
  const auto usable = usable_targets(many);
  REQUIRE(usable.size() == limits::service_targets_max);
  CHECK(usable.front().priority == 1);
  CHECK(usable.back().priority == limits::service_targets_max);
}

TEST_CASE("the lowest priority comes first, and within it the weights decide") {
  const std::vector<ServiceTarget> targets{
      service_target("late.", 9, 100), service_target("three.", 1, 3), service_target("one.", 1, 1),
      service_target("seldom.", 1, 0)};
  std::array<int, 4> first{};
  constexpr int draws = 8000;
  for (std::uint64_t random = 0; random < draws; ++random) {
    const auto order = target_order(targets, random);
    REQUIRE(std::set(order.begin(), order.end()).size() == targets.size());
    CHECK(order.back() == 0);
    ++first[order.front()];
  }
  CHECK(first[0] == 0);
  CHECK(first[1] == doctest::Approx(draws * 0.75).epsilon(0.05));
  CHECK(first[2] == doctest::Approx(draws * 0.25).epsilon(0.1));
  CHECK(first[3] < draws / 100);
  CHECK(target_order(targets, 7) == target_order(targets, 7));
  CHECK(target_order({}, 7).empty());
}

TEST_CASE("a question about a service is answered by its targets, for as long as they hold") {
  auto question = DnsQuestion::of_service("_x._tcp.example");
  CHECK(question.candidate() == "_x._tcp.example");
  CHECK(question.wants(DnsFamily::service));
  CHECK_FALSE(question.wants(DnsFamily::v4));
  CHECK_FALSE(question.wants(DnsFamily::v6));
  CHECK_FALSE(question.complete());
  question.on_reply(DnsFamily::service, {.status = DnsReply::Status::found,
                                         .services = {service_target("a.example.", 1, 1)},
                                         .ttl_ms = 7'000});
  REQUIRE(question.complete());
  CHECK_FALSE(question.advance());
  const Resolution outcome = question.outcome();
  CHECK(outcome.status == Resolution::Status::ok);
  CHECK(outcome.count() == 0);
  REQUIRE(outcome.services);
  CHECK(outcome.services->front().host == "a.example.");
  CHECK(question.ttl_ms(1) == 7'000);
  auto denied = DnsQuestion::of_service("_x._tcp.example");
  denied.on_reply(DnsFamily::service, {.status = DnsReply::Status::no_name});
  CHECK(denied.outcome().status == Resolution::Status::not_found);
}
