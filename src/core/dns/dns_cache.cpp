#include "core/dns/dns_cache.h"

#include <algorithm>
#include <cassert>

namespace sni {
namespace {

std::uint64_t whole_ms(std::chrono::milliseconds duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
}

Resolution as_stale(Resolution answer) {
  answer.stale = true;
  return answer;
}

}  // namespace

void DnsCache::configure(const DnsConfig& config) {
  entries_max_ = config.cache_entries;
  ttl_min_ms_ = whole_ms(config.ttl_min);
  ttl_max_ms_ = std::max(whole_ms(config.ttl_max), ttl_min_ms_);
  negative_ttl_ms_ = whole_ms(config.negative_ttl);
  stale_ms_ = whole_ms(config.stale);
  while (entries_.size() > entries_max_) evict();
}

void DnsCache::evict() {
  by_name_.erase(entries_.back().name);
  entries_.pop_back();
}

// Finds the entry and makes it the most recently used; nullptr: none, or it is too old.
DnsCache::Entry* DnsCache::touch(std::string_view name, std::uint64_t now_ms) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  const Entries::iterator entry = found->second;
  if (now_ms >= entry->stale_until_ms) {
    by_name_.erase(found);
    entries_.erase(entry);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return &*entry;
}

std::optional<Resolution> DnsCache::find(std::string_view name, std::uint64_t now_ms) {
  const Entry* entry = touch(name, now_ms);
  if (!entry) return std::nullopt;
  if (now_ms < entry->expires_ms) return entry->answer;
  if (now_ms < entry->retry_ms) return as_stale(entry->answer);
  return std::nullopt;
}

std::optional<Resolution> DnsCache::find_stale(std::string_view name, std::uint64_t now_ms) {
  const Entry* entry = touch(name, now_ms);
  if (!entry || now_ms < entry->expires_ms) return std::nullopt;
  return as_stale(entry->answer);
}

DnsCache::Entry& DnsCache::insert(std::string_view name) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
  } else {
    entries_.push_front({.name = std::string(name)});
    by_name_.emplace(entries_.front().name, entries_.begin());
  }
  return entries_.front();
}

std::uint64_t DnsCache::store(std::string_view name, const Resolution& answer, std::uint64_t ttl_ms,
                              std::uint64_t now_ms) {
  assert(answer.status == Resolution::Status::ok || answer.is_negative());
  const bool found = answer.status == Resolution::Status::ok;
  const std::uint64_t kept_ms =
      found ? std::clamp(ttl_ms, ttl_min_ms_, ttl_max_ms_) : negative_ttl_ms_;
  keep(name, answer, kept_ms, now_ms);
  return kept_ms;
}

// The lower bound does not apply: it would extend an answer's life each time that it is passed on.
void DnsCache::adopt(std::string_view name, const Resolution& answer, std::uint64_t left_ms,
                     std::uint64_t now_ms) {
  assert(answer.status == Resolution::Status::ok);
  keep(name, answer, std::min(left_ms, ttl_max_ms_), now_ms);
}

void DnsCache::keep(std::string_view name, const Resolution& answer, std::uint64_t kept_ms,
                    std::uint64_t now_ms) {
  Entry& entry = insert(name);
  entry.answer = answer;
  entry.expires_ms = now_ms + kept_ms;
  entry.stale_until_ms =
      entry.expires_ms + (answer.status == Resolution::Status::ok ? stale_ms_ : 0);
  entry.retry_ms = 0;
  while (entries_.size() > entries_max_) evict();
}

void DnsCache::store_failure(std::string_view name, Resolution::Status failure,
                             std::uint64_t now_ms) {
  if (Entry* entry = touch(name, now_ms); entry && entry->answer.status == Resolution::Status::ok) {
    entry->retry_ms = now_ms + negative_ttl_ms_;
    return;
  }
  Entry& entry = insert(name);
  entry.answer = Resolution{.status = failure};
  entry.expires_ms = now_ms + negative_ttl_ms_;
  entry.stale_until_ms = entry.expires_ms;
  entry.retry_ms = 0;
  while (entries_.size() > entries_max_) evict();
}

void DnsCache::clear() {
  by_name_.clear();
  entries_.clear();
}

void DnsCache::expire_all(std::uint64_t now_ms) {
  for (Entry& entry : entries_) {
    if (entry.answer.status != Resolution::Status::ok) entry.stale_until_ms = 0;
    entry.expires_ms = std::min(entry.expires_ms, now_ms);
    entry.retry_ms = 0;
  }
}

}  // namespace sni
