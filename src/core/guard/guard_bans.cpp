#include "core/guard/guard_bans.h"

#include <algorithm>
#include <iterator>

#include "core/address/source.h"
#include "core/limits.h"

namespace sni {

IpPrefix BanTable::source_of(const IpAddress& address) const {
  return sni::source_of(address, policy_.ipv6_length);
}

bool BanTable::is_banned(const IpAddress& address, GuardTime now) const {
  const auto found = records_.find(source_of(address).base);
  return found != records_.end() && now < found->second.until;
}

std::optional<Ban> BanTable::ban(const IpAddress& address, GuardTime now) {
  const IpPrefix source = source_of(address);
  auto found = records_.find(source.base);
  if (found == records_.end()) {
    if (records_.size() >= limits::bans_max) return std::nullopt;
    found = records_.emplace(source.base, Record{}).first;
  }
  Record& record = found->second;
  record.duration_s = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      std::uint64_t{record.duration_s} * 2, policy_.first_s, policy_.longest_s));
  record.until = now + record.duration_s;
  record.over = false;
  return Ban{.source = source, .until = record.until};
}

std::vector<IpPrefix> BanTable::lift(const IpPrefix& prefix) {
  std::vector<IpPrefix> lifted;
  std::erase_if(records_, [&](const auto& entry) {
    const IpPrefix source = source_of(entry.first);
    if (!covers(prefix, source) && !covers(source, prefix)) return false;
    if (!entry.second.over) lifted.push_back(source);
    return true;
  });
  return lifted;
}

std::vector<IpPrefix> BanTable::expire(GuardTime now) {
  std::vector<IpPrefix> ended;
  for (auto entry = records_.begin(); entry != records_.end();) {
    Record& record = entry->second;
    const bool over = now >= record.until;
    if (over && !record.over) ended.push_back(source_of(entry->first));
    record.over = over;
    const bool forgiven = over && now - record.until >= policy_.longest_s;
    entry = forgiven ? records_.erase(entry) : std::next(entry);
  }
  return ended;
}

void BanTable::adopt(const BanPolicy& policy) {
  if (policy.ipv6_length != policy_.ipv6_length) {
    std::erase_if(records_, [](const auto& entry) { return !entry.first.is_v4(); });
  }
  policy_ = policy;
}

std::vector<Ban> BanTable::live(GuardTime now) const {
  std::vector<Ban> bans;
  for (const auto& [base, record] : records_) {
    if (now < record.until) bans.push_back({.source = source_of(base), .until = record.until});
  }
  return bans;
}

}  // namespace sni
