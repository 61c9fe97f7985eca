#pragma once

// Which kernel releases are trusted with redirect_skb without a test. The backlog of the
// receive-side redirect duplicated or lost bytes until fixes of 2025-06 (commits 3b4f14b79428 and
// 7683167196bd). A release number only names the upstream version that a kernel is based on, so the
// live self-test overrides this list both ways. redirect_msg does not use that backlog and needs no
// policy: every kernel that accepts the program may run it.

#include <optional>
#include <string>
#include <string_view>

namespace sni {

struct KernelRelease {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  auto operator<=>(const KernelRelease&) const = default;
};

// "6.12.34-amd64" is 6.12.34; a missing patch level is 0.
std::optional<KernelRelease> parse_kernel_release(std::string_view text);

struct PolicyVerdict {
  bool trusted = false;
  std::string reason;
};

PolicyVerdict judge_redirect_skb(std::string_view release);

}  // namespace sni
