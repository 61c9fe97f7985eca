#include "bpf/sockhash/kernel_policy.h"

#include <array>
#include <charconv>

namespace sni {
namespace {

// Stable series with the fixes, and the first patch level that has them.
constexpr std::array fixed_series = {
    KernelRelease{6, 12, 34},
    KernelRelease{6, 6, 94},
    KernelRelease{6, 1, 142},
    KernelRelease{5, 15, 190},
};
constexpr KernelRelease fixed_upstream{6, 15, 3};

}  // namespace

std::optional<KernelRelease> parse_kernel_release(std::string_view text) {
  KernelRelease release;
  const std::array<unsigned*, 3> parts = {&release.major, &release.minor, &release.patch};
  for (std::size_t i = 0; i < parts.size(); i++) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), *parts[i]);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    if (i == 2 || !text.starts_with('.')) {
      // "6.16" and "6.16-rc1" have no patch level; "6" alone is not a release.
      if (i == 0) return std::nullopt;
      break;
    }
    text.remove_prefix(1);
  }
  return release;
}

PolicyVerdict judge_redirect_skb(std::string_view text) {
  const auto release = parse_kernel_release(text);
  if (!release)
    return {.trusted = false, .reason = "kernel release '" + std::string(text) + "' is not known"};
  if (*release >= fixed_upstream)
    return {.trusted = true, .reason = "fixes of 2025-06 are in since 6.15.3"};
  for (const auto& series : fixed_series) {
    if (release->major != series.major || release->minor != series.minor) continue;
    const auto first = std::to_string(series.major) + '.' + std::to_string(series.minor) + '.' +
                       std::to_string(series.patch);
    if (*release >= series)
      return {.trusted = true, .reason = "fixes of 2025-06 are in since " + first};
    return {.trusted = false,
            .reason = "redirected bytes can be lost or sent twice before " + first};
  }
  return {.trusted = false,
          .reason = "redirected bytes can be lost or sent twice, and this series was not fixed"};
}

}  // namespace sni
