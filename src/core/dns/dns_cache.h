#pragma once

// Answers by name. An entry is fresh until its TTL (clamped to [ttl_min, ttl_max]) is over, and may
// be served for `stale` longer while resolvers fail (RFC 8767). Failures are also cached for
// negative_ttl, so that a dead resolver costs one question per name and negative_ttl instead of one
// per connection. The cache holds at most cache_entries and evicts the least recently used. Lookups
// do not allocate. Times are milliseconds of any monotonic clock.

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

  // Sets new bounds. Present entries keep the lifetime with which they were stored.
  void configure(const DnsConfig& config);

  // Answers from the cache alone: a fresh entry (ok, not_found or a failure), or the stale answer
  // of a name that failed less than negative_ttl ago.
  std::optional<Resolution> find(std::string_view name, std::uint64_t now_ms);
  // The addresses of a name whose TTL is over but whose stale time is not.
  std::optional<Resolution> find_stale(std::string_view name, std::uint64_t now_ms);

  // Stores ok with its TTL, or not_found, whose TTL is negative_ttl whatever is given here. Returns
  // how long it will be fresh.
  std::uint64_t store(std::string_view name, const Resolution& answer, std::uint64_t ttl_ms,
                      std::uint64_t now_ms);
  // Takes over an entry of another cache with the same bounds, for the time that it had left there.
  void adopt(std::string_view name, const Resolution& answer, std::uint64_t left_ms,
             std::uint64_t now_ms);
  // Stores that the resolvers gave no answer (failed or unanswered). An entry with addresses stays
  // and may be served stale.
  void store_failure(std::string_view name, Resolution::Status failure, std::uint64_t now_ms);

  void clear();
  // Expires all entries; addresses may still be served stale.
  void expire_all(std::uint64_t now_ms);
  std::size_t size() const { return by_name_.size(); }

 private:
  struct Entry {
    std::string name;
    Resolution answer;
    std::uint64_t expires_ms = 0;
    std::uint64_t stale_until_ms = 0;  // Only addresses outlive expires_ms.
    std::uint64_t retry_ms = 0;        // Until then the stale answer is served without a question.
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
