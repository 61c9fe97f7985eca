#include "core/silent_endpoints.h"

#include "core/limits.h"

namespace sni {

bool SilentEndpoints::add(const Endpoint& endpoint, std::uint64_t now_ms) {
  const std::uint64_t until_ms = now_ms + limits::silent_ms;
  if (const auto known = until_ms_.find(endpoint); known != until_ms_.end()) {
    known->second = until_ms;
    return false;
  }
  if (until_ms_.size() >= limits::silent_endpoints_max) {
    std::erase_if(until_ms_, [now_ms](const auto& each) { return each.second <= now_ms; });
    if (until_ms_.size() >= limits::silent_endpoints_max) return false;
  }
  until_ms_.emplace(endpoint, until_ms);
  return true;
}

bool SilentEndpoints::puts_off(const Endpoint& endpoint, std::uint64_t now_ms) {
  if (until_ms_.empty()) return false;
  const auto found = until_ms_.find(endpoint);
  if (found == until_ms_.end()) return false;
  if (now_ms < found->second) return true;
  found->second = now_ms + limits::silent_ms;
  return false;
}

}  // namespace sni
