#pragma once

// Tests on loopback pairs whether this kernel does what the SOCKHASH planes need, at start and by
// `sni-proxy probe`, in well under a second. The behaviour of a kernel counts for more than its
// release number: vendors backport fixes, and also bugs.

#include <string>
#include <string_view>
#include <vector>

#include "bpf/sockhash/sockhash.h"

namespace sni {

struct SelfTestCase {
  std::string name;
  std::string failure;  // Empty: passed.
};

struct SelfTest {
  std::string not_run;               // Why the test could not run; empty: it ran.
  std::vector<SelfTestCase> local;   // capture_backend and redirect_msg.
  std::vector<SelfTestCase> remote;  // redirect_skb behind its gate.
  std::vector<SelfTestCase> unseen;  // What a captured backend could notice.
};

// Runs on a loaded Sockhash after attach_capture(). It uses slots of worker 0 and gives them back,
// so no worker may run yet.
SelfTest run_self_test(Sockhash& sockhash);

struct PlaneVerdict {
  bool usable = false;
  std::string reason;
};

struct SockhashVerdict {
  PlaneVerdict local;
  PlaneVerdict remote;
  PlaneVerdict unseen;  // Not usable: the plane `local` works, but backends can notice it.
};

// Pure. `capture_failure` says why attach_capture() failed; empty: it did not.
SockhashVerdict judge(const SelfTest& test, std::string_view kernel_release,
                      std::string_view capture_failure);

// Pure. Lines for `sni-proxy probe`: each plane with its reason, then each case.
std::vector<std::string> describe(const SelfTest& test, const SockhashVerdict& verdict);

}  // namespace sni
