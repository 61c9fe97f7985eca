#include "bpf/sockhash/kernel_policy.h"

#include <doctest/doctest.h>

using namespace sni;

TEST_CASE("A kernel release is read with whatever follows it") {
  CHECK(parse_kernel_release("6.12.34-amd64") == KernelRelease{6, 12, 34});
  CHECK(parse_kernel_release("6.16-rc1") == KernelRelease{6, 16, 0});
  CHECK(parse_kernel_release("5.15.0-91-generic") == KernelRelease{5, 15, 0});
  CHECK(parse_kernel_release("6.1.142") == KernelRelease{6, 1, 142});
  for (const char* wrong : {"", "6", "linux", "v6.1", ".1.2"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_kernel_release(wrong));
  }
}

TEST_CASE("redirect_skb is trusted on releases with the fixes of 2025-06 and on no other") {
  for (const char* good : {"6.15.3", "6.16.0", "6.18.44-fc", "7.0.0", "6.12.34", "6.12.99-amd64",
                           "6.6.94", "6.1.142", "5.15.190"}) {
    CAPTURE(good);
    CHECK(judge_redirect_skb(good).trusted);
  }
  for (const char* bad : {"6.15.2", "6.14.11", "6.13.0", "6.12.33", "6.11.0", "6.8.0-45-generic",
                          "6.6.93", "6.1.141", "5.15.189", "5.10.240", "4.19.0", "unknown"}) {
    CAPTURE(bad);
    CHECK_FALSE(judge_redirect_skb(bad).trusted);
    CHECK_FALSE(judge_redirect_skb(bad).reason.empty());
  }
}
