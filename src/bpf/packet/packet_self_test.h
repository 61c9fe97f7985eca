#pragma once

// Whether this kernel really joins connections at packet level, tried between two network namespaces
// at start and by `sni-proxy probe`, in well under a second: hand-over, bytes both ways, their count
// and the end, for each family and for a backend on lo. Without CAP_SYS_ADMIN, which namespaces need,
// all of it is tried on the host's own lo, once.

#include <string>
#include <vector>

#include "bpf/packet/packet_splice.h"

namespace sni {

struct PacketCase {
  std::string name;
  std::string failure;  // Empty: passed.
};

struct PacketSelfTest {
  std::string not_run;  // Why nothing could be tried; empty: it ran.
  std::vector<PacketCase> cases;

  bool passed() const;
  // Why the plane is not to be used; empty: passed.
  std::string reason() const;
};

// Before any flow: it uses the plane's table and takes its events. The plane is attached to lo by
// then. On a thread of its own, so that the caller stays in its network namespace.
PacketSelfTest run_packet_self_test(PacketSplice& plane);

// Pure. Lines for `sni-proxy probe`: the verdict, then each case.
std::vector<std::string> describe(const PacketSelfTest& test);

}  // namespace sni
