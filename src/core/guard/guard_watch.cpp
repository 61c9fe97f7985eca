#include "core/guard/guard_watch.h"

#include "core/limits.h"

namespace sni {
namespace {

constexpr GuardTime one_second = 1;
constexpr GuardTime minute = 60;

}  // namespace

bool SourceWatch::report(const IpAddress& source, Conduct conduct, GuardTime now) {
  auto found = sources_.find(source);
  if (found == sources_.end()) {
    if (sources_.size() >= limits::watched_sources_max) {
      ++overflows_;
      return false;
    }
    found = sources_.emplace(source, Windows{}).first;
  }
  const auto exceeds = [now](Window& window, GuardTime length, std::uint32_t allowed) {
    if (now - window.started >= length) window = {.started = now, .count = 0};
    ++window.count;
    return allowed != 0 && window.count > allowed;
  };
  Windows& windows = found->second;
  switch (conduct) {
    case Conduct::connected:
      return exceeds(windows.connected, one_second, allowed_.connections_per_second);
    case Conduct::refused:
      return exceeds(windows.refused, minute, allowed_.refused_per_minute);
    case Conduct::bad_hello:
      return exceeds(windows.bad_hello, minute, allowed_.bad_hellos_per_minute);
  }
  return false;
}

void SourceWatch::expire(GuardTime now) {
  const auto has_passed = [now](const Window& window, GuardTime length) {
    return window.count == 0 || now - window.started >= length;
  };
  std::erase_if(sources_, [&](const auto& entry) {
    const Windows& windows = entry.second;
    return has_passed(windows.connected, one_second) && has_passed(windows.refused, minute) &&
           has_passed(windows.bad_hello, minute);
  });
}

}  // namespace sni
