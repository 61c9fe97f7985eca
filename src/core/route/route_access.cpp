#include "core/route/route_access.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/guard/guard_entry.h"

namespace sni {
namespace {

GuardTime epoch_time(std::chrono::sys_seconds time) {
  const std::int64_t seconds = time.time_since_epoch().count();
  return static_cast<GuardTime>(
      std::clamp<std::int64_t>(seconds, 0, std::int64_t{guard_never_expires} - 1));
}

void add(std::vector<GuardEntry>& rules, std::span<const AccessEntry> entries,
         GuardTime GuardTerm::* until) {
  for (const AccessEntry& entry : entries) {
    GuardEntry& rule = rules.emplace_back(GuardEntry{.prefix = entry.prefix, .term = {}});
    rule.term.*until = entry.until ? epoch_time(*entry.until) : guard_never_expires;
  }
}

std::vector<GuardEntry> rules_of(const RouteAccessConfig& config) {
  std::vector<GuardEntry> rules;
  rules.reserve(config.block.size() + config.allow.size());
  add(rules, config.block, &GuardTerm::block_until);
  add(rules, config.allow, &GuardTerm::allow_until);
  return rules;
}

}  // namespace

RouteAccess::RouteAccess(const RouteAccessConfig& config)
    : list_(rules_of(config)), default_allow_(config.default_allow) {}

bool RouteAccess::admits(const IpAddress& source, std::chrono::sys_seconds now) const {
  const GuardTerm term = list_.find(source);
  const GuardTime at = epoch_time(now);
  if (term.is_allowed(at)) return true;
  return !term.is_blocked(at) && default_allow_;
}

}  // namespace sni
