#include "bpf/xdp/xdp_probe.h"

#include <doctest/doctest.h>

#include "support/own_network.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("drivers report whether they support programs: veth does and lo does not") {
  in_own_network([] {
    ip("link add near type veth peer name far");
    const auto native = native_xdp();
    if (!native) {
      CHECK(native.error().what == "drivers say so from Linux 6.3 on");
      return;
    }
    CHECK(native->at(if_nametoindex("near")));
    CHECK_FALSE(native->at(if_nametoindex("lo")));
  });
}
