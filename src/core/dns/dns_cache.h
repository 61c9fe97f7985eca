#pragma once

// Answers by name. An entry is fresh until its TTL (clamped to [ttl_min, ttl_max]) is over, and may
// stand in for `stale` longer while resolvers fail (RFC 8767). Failures are remembered for
// negative_ttl too, so that a dead resolver costs one question per name and negative_ttl instead of
// one per connection. At most cache_entries; the least recently used one makes room. Lookups do not
// allocate. Time comes in as milliseconds of any clock that does not go back.

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/config/config.h"
#include "core/dns/resolution.h"
#include "core/string_hash.h"

namespace sni {

class DnsCache {
 public:
  // `key` is random: clients choose names, and must not be able to choose collisions.
  DnsCache(const DnsConfig& config, const SipKey& key) : by_name_(0, KeyedStringHash{.key = key}) {
    configure(config);
  }

  // New bounds. What is there stays as long as it was stored for.
  void configure(const DnsConfig& config);

  // Answers without a question: what is fresh (ok, not_found or a failure), or, for a name that failed
  // less than negative_ttl ago, its stale answer.
  std::optional<Resolution> find(std::string_view name, std::uint64_t now_ms);
  // The addresses of a name whose TTL is over but whose stale time is not.
  std::optional<Resolution> find_stale(std::string_view name, std::uint64_t now_ms);

  // ok with its TTL, or not_found (its TTL is negative_ttl, whatever is given here). Returns how
  // long it will be fresh.
  std::uint64_t store(std::string_view name, const Resolution& answer, std::uint64_t ttl_ms,
                      std::uint64_t now_ms);
  // What another cache has kept by these bounds, for the time that it had left there.
  void adopt(std::string_view name, const Resolution& answer, std::uint64_t left_ms,
             std::uint64_t now_ms);
  // The resolvers gave no answer, which is failed or unanswered. An entry with addresses stays and
  // may stand in.
  void store_failure(std::string_view name, Resolution::Status failure, std::uint64_t now_ms);

  void clear();
  // Nothing is fresh any more; addresses may still stand in.
  void expire_all(std::uint64_t now_ms);
  std::size_t size() const { return by_name_.size(); }

 private:
  struct Entry {
    std::string name;
    Resolution answer;
    std::uint64_t expires_ms = 0;
    std::uint64_t stale_until_ms = 0;  // Only addresses live longer than expires_ms.
    std::uint64_t retry_ms = 0;        // Until then the stale answer is given without asking.
  };
  using Entries = std::list<Entry>;

  Entry* touch(std::string_view name, std::uint64_t now_ms);
  Entry& insert(std::string_view name);
  void keep(std::string_view name, const Resolution& answer, std::uint64_t kept_ms,
            std::uint64_t now_ms);
  void evict();

  Entries entries_;  // Most recently used first. Keys of by_name_ point into it.
  std::unordered_map<std::string_view, Entries::iterator, KeyedStringHash> by_name_;
  std::size_t entries_max_ = 0;
  std::uint64_t ttl_min_ms_ = 0;
  std::uint64_t ttl_max_ms_ = 0;
  std::uint64_t negative_ttl_ms_ = 0;
  std::uint64_t stale_ms_ = 0;
};

}  // namespace sni
