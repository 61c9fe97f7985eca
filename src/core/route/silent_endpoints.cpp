#include "core/route/silent_endpoints.h"

#include "core/limits.h"

namespace sni {

bool SilentEndpoints::add(const Endpoint& endpoint, std::uint64_t begun_ms, std::uint64_t now_ms) {
  const std::uint64_t until_ms = now_ms + limits::silent_ms;
  if (const auto known = states_.find(endpoint); known != states_.end()) {
    State& state = known->second;
    const bool had_answered = state.answered_ms != 0;
    if (had_answered && state.answered_ms >= begun_ms) return false;
    state = {.until_ms = until_ms, .answered_ms = 0};
    return had_answered;
  }
  if (states_.size() >= limits::silent_endpoints_max) {
    std::erase_if(states_, [now_ms](const auto& each) { return each.second.until_ms <= now_ms; });
    if (states_.size() >= limits::silent_endpoints_max) return false;
  }
  states_.emplace(endpoint, State{.until_ms = until_ms, .answered_ms = 0});
  return true;
}

void SilentEndpoints::answered(const Endpoint& endpoint, std::uint64_t now_ms) {
  const auto known = states_.find(endpoint);
  if (known != states_.end()) known->second = {.until_ms = 0, .answered_ms = now_ms};
}

bool SilentEndpoints::puts_off(const Endpoint& endpoint, std::uint64_t now_ms) {
  const auto known = states_.find(endpoint);
  if (known == states_.end() || known->second.answered_ms != 0) return false;
  if (now_ms < known->second.until_ms) return true;
  known->second.until_ms = now_ms + limits::silent_ms;
  return false;
}

}  // namespace sni
