#pragma once

// Tests whether this kernel really joins connections at packet level, at start and by `sni-proxy
// probe`, in well under a second. Between two network namespaces it tries hand-over, bytes both
// ways, their count and the end, for each family and for a backend on lo. Without CAP_SYS_ADMIN,
// which namespaces need, it tries all of that once on the host's own lo.

#include <string>
#include <vector>

#include "bpf/packet/packet_splice.h"

namespace sni {

struct PacketCase {
  std::string name;
  std::string failure;  // Empty: passed.
};

struct PacketSelfTest {
  std::string not_run;  // Why the test could not run; empty: it ran.
  std::vector<PacketCase> cases;

  bool passed() const;
  // Why the plane must not be used; empty: passed.
  std::string reason() const;
};

// To be run before any flow: it uses the plane's table and takes its events. The plane must be
// attached to lo. It runs on a thread of its own, so that the caller stays in its network
// namespace.
PacketSelfTest run_packet_self_test(PacketSplice& plane);

// Pure. Lines for `sni-proxy probe`: the verdict, then each case.
std::vector<std::string> describe(const PacketSelfTest& test);

}  // namespace sni
