#include "bpf/sockhash/self_test.h"

#include <sys/utsname.h>

#include "bpf/sockhash/sock_fixture.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("The self-test passes on this kernel and gives every slot back") {
  SockFixture fixture(4);
  fixture.slots.reset();
  const auto test = run_self_test(*fixture.sockhash);
  CHECK(test.not_run == "");
  CHECK(test.local.size() == 2);
  CHECK(test.unseen.size() == 1);
  CHECK(test.remote.size() == 5);
  for (const auto* tried : {&test.local, &test.remote})
    for (const auto& one : *tried) {
      CAPTURE(one.name);
      CHECK(one.failure == "");
    }
  for (std::uint32_t i = 0; i < 4; i++) CHECK(fixture.sockhash->slot(i).owner == 0);
  // A test that claims redirection reads the counters that prove it.
  CHECK(fixture.counter(SOCK_MSG_REDIRECTS) > 16);
  CHECK(fixture.counter(SOCK_SKB_REDIRECTS) > 16);
}

TEST_CASE("A live result overrules the kernel's release both ways") {
  SelfTest passed{.not_run = "",
                  .local = {{"sk_msg: order", ""}},
                  .remote = {{"sk_skb: order", ""}},
                  .unseen = {}};
  CHECK(judge(passed, "5.10.0", "").remote.usable);
  SelfTest failed = passed;
  failed.remote[0].failure = "bytes arrived changed or out of order";
  const auto verdict = judge(failed, "6.18.0", "");
  CHECK_FALSE(verdict.remote.usable);
  CHECK(verdict.remote.reason ==
        "self-test 'sk_skb: order' failed: bytes arrived changed or out of order; kernel policy: "
        "fixes of 2025-06 are in since 6.15.3");
  CHECK(verdict.local.usable);
}

TEST_CASE("A plane that backends can notice is no less usable, and said to be noticed") {
  const SelfTest test{.not_run = "",
                      .local = {{"sk_msg: order", ""}},
                      .remote = {},
                      .unseen = {{"sk_msg: unread bytes", "none are told"}}};
  const auto verdict = judge(test, "6.18.44", "");
  CHECK(verdict.local.usable);
  CHECK_FALSE(verdict.unseen.usable);
  CHECK(verdict.unseen.reason == "self-test 'sk_msg: unread bytes' failed: none are told");
}

TEST_CASE("Where the self-test cannot run, the release decides about redirect_skb alone") {
  const SelfTest test{
      .not_run = "loopback does not answer", .local = {}, .remote = {}, .unseen = {}};
  CHECK(judge(test, "6.18.44", "").remote.usable);
  CHECK_FALSE(judge(test, "6.8.0", "").remote.usable);
  CHECK(judge(test, "6.8.0", "").local.usable);
}

TEST_CASE("Without the capture no backend of this host can be captured, whatever the test result") {
  const SelfTest test{.not_run = "", .local = {}, .remote = {{"sk_skb: order", ""}}, .unseen = {}};
  const auto verdict = judge(test, "6.18.44", "cannot attach capture_backend");
  CHECK_FALSE(verdict.local.usable);
  CHECK(verdict.local.reason == "cannot attach capture_backend");
  CHECK(verdict.remote.usable);
}

TEST_CASE("The probe names each plane with its reason and each case") {
  const SelfTest test{.not_run = "",
                      .local = {{"sk_msg: order", ""}},
                      .remote = {{"sk_skb: order", "nothing came"}},
                      .unseen = {}};
  const auto lines = describe(test, judge(test, "6.18.44", ""));
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] == "sockhash, same host: yes (self-test passed)");
  CHECK(lines[1] == "sockhash, same host, unseen by backends: yes (self-test passed)");
  CHECK(lines[2].starts_with("sockhash, remote: no (self-test 'sk_skb: order' failed: nothing"));
  CHECK(lines[3] == "  sk_msg: order: passed");
  CHECK(lines[4] == "  sk_skb: order: nothing came");
}
