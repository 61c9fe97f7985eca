#include "core/dns/dns_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "support/resolution.h"

using namespace sni;
using namespace sni::test;

namespace {

using Status = Resolution::Status;

DnsConfig config() {
  return {.cache_entries = 3,
          .ttl_min = std::chrono::milliseconds(10),
          .ttl_max = std::chrono::milliseconds(100),
          .negative_ttl = std::chrono::milliseconds(20),
          .stale = std::chrono::milliseconds(200)};
}

constexpr SipKey cache_key{1, 2};

}  // namespace

TEST_CASE("an answer is fresh for its TTL and stale for a while after") {
  DnsCache cache(config(), cache_key);
  cache.store("a", addresses({"192.0.2.1"}), 50, 1'000);
  CHECK(cache.find("a", 1'000) == addresses({"192.0.2.1"}));
  CHECK(cache.find("a", 1'049) == addresses({"192.0.2.1"}));
  CHECK_FALSE(cache.find_stale("a", 1'049));
  CHECK_FALSE(cache.find("a", 1'050));
  CHECK(cache.find_stale("a", 1'050) == stale(addresses({"192.0.2.1"})));
  CHECK(cache.find_stale("a", 1'249) == stale(addresses({"192.0.2.1"})));
  CHECK_FALSE(cache.find_stale("a", 1'250));
  CHECK(cache.size() == 0);
}

TEST_CASE("a TTL is kept between its bounds") {
  DnsCache cache(config(), cache_key);
  cache.store("short", addresses({"192.0.2.1"}), 0, 0);
  cache.store("long", addresses({"192.0.2.2"}), ~std::uint64_t{0}, 0);
  CHECK(cache.find("short", 9));
  CHECK_FALSE(cache.find("short", 10));
  CHECK(cache.find("long", 99));
  CHECK_FALSE(cache.find("long", 100));
}

TEST_CASE("an adopted answer is kept for its remaining time, and no longer than ttl_max") {
  DnsCache cache(config(), cache_key);
  CHECK(cache.store("stored", addresses({"192.0.2.1"}), 0, 0) == 10);
  CHECK(cache.store("clamped", addresses({"192.0.2.1"}), 1'000, 0) == 100);
  cache.adopt("short", addresses({"192.0.2.1"}), 3, 0);
  cache.adopt("long", addresses({"192.0.2.2"}), ~std::uint64_t{0}, 0);
  CHECK(cache.find("short", 2));
  CHECK_FALSE(cache.find("short", 3));
  CHECK(cache.find_stale("short", 3));
  CHECK(cache.find("long", 99));
  CHECK_FALSE(cache.find("long", 100));
}

TEST_CASE("negative answers hold for negative_ttl and never stand in") {
  DnsCache cache(config(), cache_key);
  cache.store("a", not_found, 1'000, 0);
  cache.store_failure("b", Status::failed, 0);
  CHECK(cache.find("a", 19) == not_found);
  CHECK(cache.find("b", 19) == failed);
  CHECK_FALSE(cache.find("a", 20));
  CHECK_FALSE(cache.find_stale("a", 20));
  CHECK_FALSE(cache.find_stale("b", 20));
}

TEST_CASE(
    "a failure lets the stale answer stand in without a question until negative_ttl is over") {
  DnsCache cache(config(), cache_key);
  cache.store("a", addresses({"192.0.2.1"}), 50, 0);
  CHECK_FALSE(cache.find("a", 60));
  cache.store_failure("a", Status::unanswered, 60);
  CHECK(cache.find("a", 79) == stale(addresses({"192.0.2.1"})));
  CHECK_FALSE(cache.find("a", 80));
  CHECK(cache.find_stale("a", 80) == stale(addresses({"192.0.2.1"})));
  cache.store("a", addresses({"192.0.2.2"}), 50, 80);
  CHECK(cache.find("a", 90) == addresses({"192.0.2.2"}));
}

TEST_CASE("a name that is gone is gone, stale addresses or not") {
  DnsCache cache(config(), cache_key);
  cache.store("a", addresses({"192.0.2.1"}), 50, 0);
  cache.store("a", not_found, 0, 60);
  CHECK(cache.find("a", 60) == not_found);
  CHECK_FALSE(cache.find_stale("a", 80));
}

TEST_CASE("the least recently used entry makes room") {
  DnsCache cache(config(), cache_key);
  cache.store("a", addresses({"192.0.2.1"}), 50, 0);
  cache.store("b", addresses({"192.0.2.2"}), 50, 0);
  cache.store("c", addresses({"192.0.2.3"}), 50, 0);
  CHECK(cache.find("a", 1));
  cache.store("d", addresses({"192.0.2.4"}), 50, 1);
  CHECK(cache.size() == 3);
  CHECK_FALSE(cache.find("b", 1));
  for (const char* name : {"a", "c", "d"}) CHECK(cache.find(name, 1));
}

TEST_CASE("a cache of no entries holds nothing") {
  DnsConfig none = config();
  none.cache_entries = 0;
  DnsCache cache(none, cache_key);
  cache.store("a", addresses({"192.0.2.1"}), 50, 0);
  cache.store_failure("b", Status::failed, 0);
  CHECK(cache.size() == 0);
  CHECK_FALSE(cache.find("a", 0));
}

TEST_CASE("new bounds hold at once for the number of entries") {
  DnsCache cache(config(), cache_key);
  for (const char* name : {"a", "b", "c"}) cache.store(name, addresses({"192.0.2.1"}), 50, 0);
  DnsConfig one = config();
  one.cache_entries = 1;
  cache.configure(one);
  CHECK(cache.size() == 1);
  CHECK(cache.find("c", 0));
}

TEST_CASE("expire_all makes addresses stale and forgets the rest") {
  DnsCache cache(config(), cache_key);
  cache.store("a", addresses({"192.0.2.1"}), 50, 0);
  cache.store("b", not_found, 0, 0);
  cache.store_failure("c", Status::failed, 0);
  cache.expire_all(5);
  for (const char* name : {"a", "b", "c"}) CHECK_FALSE(cache.find(name, 5));
  CHECK(cache.find_stale("a", 5) == stale(addresses({"192.0.2.1"})));
  CHECK_FALSE(cache.find_stale("b", 5));
  CHECK_FALSE(cache.find_stale("c", 5));
}

namespace {

// The same rules over a plain list, newest use last.
class Model {
 public:
  struct Entry {
    std::string name;
    Resolution answer;
    std::uint64_t stored_ms;
    std::uint64_t ttl_ms;
    std::uint64_t failed_ms;
    bool failed;
  };

  std::optional<Resolution> find(const std::string& name, std::uint64_t now_ms) {
    Entry* entry = use(name, now_ms);
    if (!entry) return std::nullopt;
    if (now_ms < entry->stored_ms + entry->ttl_ms) return entry->answer;
    if (entry->failed && now_ms < entry->failed_ms + 20) return stale(entry->answer);
    return std::nullopt;
  }
  std::optional<Resolution> find_stale(const std::string& name, std::uint64_t now_ms) {
    Entry* entry = use(name, now_ms);
    if (!entry || now_ms < entry->stored_ms + entry->ttl_ms) return std::nullopt;
    return stale(entry->answer);
  }
  void store(const std::string& name, const Resolution& answer, std::uint64_t ttl_ms,
             std::uint64_t now_ms) {
    std::erase_if(entries_, [&](const Entry& entry) { return entry.name == name; });
    const std::uint64_t kept_ms =
        answer.status == Status::ok ? std::clamp<std::uint64_t>(ttl_ms, 10, 100) : 20;
    entries_.push_back({name, answer, now_ms, kept_ms, 0, false});
    if (entries_.size() > 3) entries_.erase(entries_.begin());
  }
  void store_failure(const std::string& name, std::uint64_t now_ms) {
    Entry* entry = use(name, now_ms);
    if (!entry || entry->answer.status != Status::ok) return store(name, failed, 0, now_ms);
    entry->failed = true;
    entry->failed_ms = now_ms;
  }

 private:
  Entry* use(const std::string& name, std::uint64_t now_ms) {
    const auto found = std::ranges::find(entries_, name, &Entry::name);
    if (found == entries_.end()) return nullptr;
    const std::uint64_t stale_ms = found->answer.status == Status::ok ? 200 : 0;
    if (now_ms >= found->stored_ms + found->ttl_ms + stale_ms) {
      entries_.erase(found);
      return nullptr;
    }
    std::rotate(found, found + 1, entries_.end());
    return &entries_.back();
  }

  std::vector<Entry> entries_;
};

}  // namespace

TEST_CASE("the cache agrees with a simple model in any order of use") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    DnsCache cache(config(), cache_key);
    Model model;
    std::uint64_t now_ms = 0;
    for (int step = 0; step < 200; ++step) {
      now_ms += random() % 30;
      const std::string name(1, static_cast<char>('a' + random() % 5));
      switch (random() % 5) {
        case 0: {
          const auto answer =
              random() % 2 == 0 ? addresses({"192.0.2.1"}) : addresses({"192.0.2.2"});
          const std::uint64_t ttl_ms = random() % 150;
          cache.store(name, answer, ttl_ms, now_ms);
          model.store(name, answer, ttl_ms, now_ms);
          break;
        }
        case 1:
          cache.store(name, not_found, 0, now_ms);
          model.store(name, not_found, 0, now_ms);
          break;
        case 2:
          cache.store_failure(name, Status::failed, now_ms);
          model.store_failure(name, now_ms);
          break;
        case 3:
          REQUIRE(cache.find(name, now_ms) == model.find(name, now_ms));
          break;
        default:
          REQUIRE(cache.find_stale(name, now_ms) == model.find_stale(name, now_ms));
      }
      REQUIRE(cache.size() <= 3);
    }
  }
}

TEST_CASE("a cache that is cleared has nothing to stand in either") {
  DnsCache cache(config(), cache_key);
  cache.store("a", addresses({"192.0.2.1"}), 50, 0);
  cache.clear();
  CHECK(cache.size() == 0);
  CHECK_FALSE(cache.find("a", 0));
  CHECK_FALSE(cache.find_stale("a", 60));
}
