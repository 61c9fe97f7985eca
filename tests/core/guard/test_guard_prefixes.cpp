#include "core/guard/guard_prefixes.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;

namespace {

std::vector<std::string> derived(std::vector<GuardEntry> rules) {
  const GuardPrefixes prefixes(std::move(rules));
  std::vector<std::string> texts;
  for (const GuardEntry& entry : prefixes.entries()) texts.push_back(entry.prefix.to_string());
  return texts;
}

using Texts = std::vector<std::string>;

// The operator's intent: everything that covers an address applies to it.
GuardTerm meant(const std::vector<GuardEntry>& rules, const IpAddress& address) {
  GuardTerm term;
  for (const GuardEntry& rule : rules) {
    if (covers(rule.prefix, address)) term = united(term, rule.term);
  }
  return term;
}

// The answer of the kernel's trie: its longest match.
GuardTerm longest_match(std::span<const GuardEntry> entries, const IpAddress& address) {
  const GuardEntry* best = nullptr;
  for (const GuardEntry& entry : entries) {
    if (covers(entry.prefix, address) && (!best || best->prefix.length < entry.prefix.length)) {
      best = &entry;
    }
  }
  return best ? best->term : GuardTerm{};
}

// Few bits vary, so that prefixes nest, touch and repeat.
IpAddress random_address(std::mt19937& random) {
  const auto low = static_cast<std::uint8_t>(random() % 32);
  if (random() % 2 == 0) return IpAddress::v4(0, 0, 0, low);
  IpAddress address;
  address.bytes[15] = low;
  return address;
}

GuardEntry random_rule(std::mt19937& random) {
  const IpAddress address = random_address(random);
  const unsigned lengths[] = {96, 123, 124, 125, 126, 127};
  unsigned length = lengths[random() % 6];
  if (!address.is_v4() && length == 96) length = 0;
  return {.prefix = {.base = address.masked(length), .length = static_cast<std::uint8_t>(length)},
          .term = {.allow_until = static_cast<GuardTime>(random() % 4 == 0 ? random() % 4 : 0),
                   .block_until = static_cast<GuardTime>(random() % 4)}};
}

}  // namespace

TEST_CASE("a prefix inside another that says the same is left out") {
  CHECK(derived({blocked("10.0.0.0/8"), blocked("10.1.0.0/16"), blocked("11.0.0.0/24")}) ==
        Texts{"10.0.0.0/8", "11.0.0.0/24"});
}

TEST_CASE("halves are joined, also step by step and around longer prefixes") {
  CHECK(derived({blocked("192.0.2.0/25"), blocked("192.0.2.128/25")}) == Texts{"192.0.2.0/24"});
  CHECK(derived({blocked("10.0.0.0/10"), blocked("10.64.0.0/11"), blocked("10.96.0.0/11"),
                 blocked("10.128.0.0/9")}) == Texts{"10.0.0.0/8"});
  CHECK(derived({blocked("192.0.2.0/25"), allowed("192.0.2.64/26"), blocked("192.0.2.128/25")}) ==
        Texts{"192.0.2.0/24", "192.0.2.64/26"});
  CHECK(derived({blocked("2001:db8::/33"), blocked("2001:db8:8000::/33")}) ==
        Texts{"2001:db8::/32"});
}

TEST_CASE("prefixes that only touch, or end at other times, stay apart") {
  CHECK(derived({blocked("192.0.3.0/24"), blocked("192.0.4.0/24")}).size() == 2);
  CHECK(derived({blocked("192.0.2.0/25", 5), blocked("192.0.2.128/25", 6)}).size() == 2);
}

TEST_CASE("both halves of everything become everything of that family") {
  CHECK(derived({blocked("0.0.0.0/1"), blocked("128.0.0.0/1"), blocked("::/1"),
                 blocked("8000::/1")}) == Texts{"::/0", "0.0.0.0/0"});
}

TEST_CASE("a longer prefix that ends first says how long the shorter one lasts") {
  const GuardPrefixes prefixes({blocked("10.0.0.0/8", 100), blocked("10.1.0.0/16", 50)});
  CHECK(prefixes.entries().size() == 1);
  CHECK(prefixes.find(*parse_ip("10.1.2.3")).is_blocked(99));
  const GuardPrefixes longer({blocked("10.0.0.0/8", 50), blocked("10.1.0.0/16", 100)});
  CHECK(longer.find(*parse_ip("10.1.2.3")).is_blocked(99));
  CHECK(!longer.find(*parse_ip("10.2.2.3")).is_blocked(99));
}

TEST_CASE("allow wins over block until it ends") {
  const GuardPrefixes prefixes({allowed("10.0.0.0/8", 100), blocked("10.1.0.0/16")});
  CHECK(!prefixes.find(*parse_ip("10.1.2.3")).is_blocked(99));
  CHECK(prefixes.find(*parse_ip("10.1.2.3")).is_blocked(100));
  CHECK(!prefixes.find(*parse_ip("10.2.2.3")).is_blocked(100));
}

TEST_CASE("the longest match of the derived entries has the intended term, for any rules") {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<GuardEntry> rules;
    for (std::size_t i = 0, n = random() % 12; i < n; ++i) rules.push_back(random_rule(random));
    const GuardPrefixes prefixes(rules);
    CAPTURE(round);
    for (int i = 0; i < 40; ++i) {
      const IpAddress address = random_address(random);
      const GuardTerm expected = meant(rules, address);
      REQUIRE(longest_match(prefixes.entries(), address) == expected);
      REQUIRE(prefixes.find(address) == expected);
    }
    REQUIRE(GuardPrefixes(std::vector(prefixes.entries().begin(), prefixes.entries().end()))
                .entries()
                .size() == prefixes.entries().size());
  }
}

TEST_CASE("changes lead from one derived set to the other and leave no address bare on the way") {
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    std::vector<GuardEntry> old_rules;
    std::vector<GuardEntry> new_rules;
    for (std::size_t i = 0, n = random() % 10; i < n; ++i) old_rules.push_back(random_rule(random));
    for (std::size_t i = 0, n = random() % 10; i < n; ++i) new_rules.push_back(random_rule(random));
    const GuardPrefixes before(old_rules);
    const GuardPrefixes after(new_rules);

    std::map<IpPrefix, GuardTerm> installed;
    for (const GuardEntry& entry : before.entries()) installed[entry.prefix] = entry.term;
    for (const GuardChange& change : changes_between(before, after)) {
      if (change.term) {
        installed[change.prefix] = *change.term;
      } else {
        REQUIRE(installed.erase(change.prefix) == 1);
      }
      std::vector<GuardEntry> now;
      for (const auto& [prefix, term] : installed) now.push_back({.prefix = prefix, .term = term});
      for (unsigned low = 0; low < 32; ++low) {
        const IpAddress address = IpAddress::v4(0, 0, 0, static_cast<std::uint8_t>(low));
        const bool always = before.find(address).is_blocked(1) && after.find(address).is_blocked(1);
        if (always && !before.find(address).allow_until && !after.find(address).allow_until) {
          CHECK(longest_match(now, address).is_blocked(1));
        }
      }
    }
    REQUIRE(installed.size() == after.entries().size());
    for (const GuardEntry& entry : after.entries()) REQUIRE(installed[entry.prefix] == entry.term);
  }
}
