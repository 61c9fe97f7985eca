#include "core/guard/guard_list.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <vector>

#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;

namespace {

std::map<IpPrefix, GuardTerm> installed(const GuardList& list) {
  std::map<IpPrefix, GuardTerm> all;
  for (const GuardEntry& entry : list.installed_addresses()) all[entry.prefix] = entry.term;
  for (const GuardEntry& entry : list.installed_prefixes().entries())
    all[entry.prefix] = entry.term;
  return all;
}

}  // namespace

TEST_CASE("an address answers for itself and for the prefixes around it") {
  const GuardList list({blocked("192.0.2.0/24", 50), blocked("192.0.2.7", 100),
                        allowed("192.0.2.8"), blocked("2001:db8::7")});
  CHECK(list.find(*parse_ip("192.0.2.7")).is_blocked(99));
  CHECK(!list.find(*parse_ip("192.0.2.6")).is_blocked(99));
  CHECK(list.find(*parse_ip("192.0.2.6")).is_blocked(49));
  CHECK(!list.find(*parse_ip("192.0.2.8")).is_blocked(49));
  CHECK(list.find(*parse_ip("::ffff:192.0.2.7")).is_blocked(99));
  CHECK(list.find(*parse_ip("2001:db8::7")).is_blocked(99));
  CHECK(list.find(*parse_ip("2001:db8::8")) == GuardTerm{});
}

TEST_CASE("an address that adds nothing to the prefix around it is not installed") {
  const GuardList list({blocked("192.0.2.0/24"), blocked("192.0.2.7"), blocked("198.51.100.1")});
  CHECK(list.installed_addresses() == std::vector{blocked("198.51.100.1")});
}

TEST_CASE("term_of returns the term given for exactly that prefix") {
  const GuardList list(
      {blocked("192.0.2.0/24"), blocked("192.0.2.0/24", 5), blocked("192.0.2.7", 5)});
  CHECK(list.term_of(prefix("192.0.2.0/24")).block_until == guard_never_expires);
  CHECK(list.term_of(prefix("192.0.2.7")).block_until == 5);
  CHECK(list.term_of(prefix("192.0.2.0/25")) == GuardTerm{});
}

TEST_CASE("a prefix that is given twice is one rule, at its first place") {
  const GuardList list({blocked("198.51.100.0/24", 5), blocked("192.0.2.0/24"),
                        blocked("198.51.100.0/24", 50), allowed("192.0.2.0/24")});
  REQUIRE(list.rules().size() == 2);
  CHECK(list.rules().front().prefix == prefix("198.51.100.0/24"));
  CHECK(list.rules().front().term.block_until == 50);
}

TEST_CASE("after any changes the installed set equals that of a new list") {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::map<IpPrefix, GuardTerm> truth;
    GuardList list;
    std::map<IpPrefix, GuardTerm> kernel;
    for (int step = 0; step < 30; ++step) {
      std::map<IpPrefix, GuardTerm> changed;
      for (std::size_t count = 1 + random() % 4; changed.size() < count;) {
        const unsigned lengths[] = {124, 125, 126, 127, 128, 128, 128};
        const unsigned length = lengths[random() % 7];
        const IpAddress address =
            IpAddress::v4(192, 0, 2, static_cast<std::uint8_t>(random() % 32));
        changed[{.base = address.masked(length), .length = static_cast<std::uint8_t>(length)}] = {
            .allow_until = random() % 5 == 0 ? 2u : 0u,
            .block_until = static_cast<GuardTime>(random() % 4)};
      }
      std::vector<GuardEntry> terms;
      for (const auto& [prefix, term] : changed) terms.push_back({.prefix = prefix, .term = term});
      GuardList::Plan plan = list.plan(terms);
      for (const GuardChange& change : plan.changes) {
        if (change.term) {
          kernel[change.prefix] = *change.term;
        } else {
          REQUIRE(kernel.erase(change.prefix) == 1);
        }
      }
      list.commit(plan);
      for (const auto& [prefix, term] : changed) {
        truth[prefix] = term;
        if (term == GuardTerm{}) truth.erase(prefix);
      }

      std::vector<GuardEntry> entries;
      for (const auto& [prefix, given] : truth)
        entries.push_back({.prefix = prefix, .term = given});
      const GuardList anew(entries);
      REQUIRE(kernel == installed(anew));
      REQUIRE(installed(list) == installed(anew));
      for (const auto& [prefix, term] : changed) REQUIRE(list.term_of(prefix) == term);
    }
  }
}
