#include "bpf/xdp/xdp_attachment.h"

#include <bpf/libbpf.h>
#include <doctest/doctest.h>
#include <linux/if_link.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <string>

#include "tests/support/guarded.h"
#include "tests/support/own_network.h"

using namespace sni;
using namespace sni::test;

namespace {

bool has_program(const std::string& interface) {
  __u32 id = 0;
  REQUIRE(bpf_xdp_query_id(static_cast<int>(if_nametoindex(interface.c_str())), 0, &id) == 0);
  return id != 0;
}

XdpAttachment attached(const Guarded& guarded, const std::string& interface, XdpMode mode) {
  auto attachment = XdpAttachment::attach(guarded.filter().program_fd(), interface, mode);
  REQUIRE_MESSAGE(attachment, attachment.error().what);
  return std::move(*attachment);
}

// Frames of a blocked source do not pass, and those of others do.
void check_filtering() {
  const Wire near("near");
  const Wire far("far");
  const Bytes bad = packet(Ethernet{}, Ipv4{.source = "192.0.2.7"}, Tcp{});
  const Bytes good = packet(Ethernet{}, Ipv4{.source = "192.0.2.8"}, Tcp{});
  const Bytes bad_v6 = packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::7"}, Tcp{});
  const Bytes good_v6 = packet(Ethernet{ethertype_ipv6}, Ipv6{.source = "2001:db8::8"}, Tcp{});
  far.send(bad);
  far.send(good);
  CHECK(!near.sees_before(bad, good));
  far.send(bad_v6);
  far.send(good_v6);
  CHECK(!near.sees_before(bad_v6, good_v6));
}

}  // namespace

TEST_CASE("on veth the filter runs in native mode, or in generic mode on request") {
  in_own_network([] {
    make_veth();
    Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")});
    for (const XdpMode mode : {XdpMode::automatic, XdpMode::native, XdpMode::generic}) {
      const XdpAttachment attachment = attached(guarded, "near", mode);
      CHECK(attachment.is_native() == (mode != XdpMode::generic));
      CHECK(attachment.fallback_reason().empty());
      check_filtering();
    }
    CHECK(!has_program("near"));
  });
}

TEST_CASE(
    "where the driver has no native mode, auto takes generic and says why; native is refused") {
  in_own_network([] {
    Guarded guarded({});
    const XdpAttachment attachment = attached(guarded, "lo", XdpMode::automatic);
    CHECK(!attachment.is_native());
    CHECK(attachment.fallback_reason() == "Operation not supported");
    const auto native = XdpAttachment::attach(guarded.filter().program_fd(), "lo", XdpMode::native);
    REQUIRE(!native);
  });
  in_own_network([] {
    Guarded guarded({});
    const auto native = XdpAttachment::attach(guarded.filter().program_fd(), "lo", XdpMode::native);
    REQUIRE(!native);
    CHECK(native.error().what ==
          "cannot attach the XDP filter to lo in native mode: Operation not supported");
  });
}

TEST_CASE("jumbo frames do not hinder native mode") {
  in_own_network([] {
    make_veth("mtu 9000");
    Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")});
    REQUIRE(guarded.filter().takes_fragments());
    CHECK(attached(guarded, "near", XdpMode::automatic).is_native());
    const XdpAttachment attachment = attached(guarded, "near", XdpMode::native);
    check_filtering();
    const Wire near("near");
    const Wire far("far");
    Bytes big = packet(Ethernet{}, Ipv4{.source = "192.0.2.7"}, Tcp{});
    Bytes good = packet(Ethernet{}, Ipv4{.source = "192.0.2.8"}, Tcp{});
    big.resize(9000, 1);
    good.resize(9000, 2);
    far.send(big);
    far.send(good);
    CHECK(!near.sees_before(big, good));
  });
}

TEST_CASE("a foreign program is named and left alone") {
  in_own_network([] {
    make_veth();
    const Guarded other({});
    const Guarded guarded({});
    for (const XdpMode theirs : {XdpMode::native, XdpMode::generic}) {
      const XdpAttachment attachment = attached(other, "near", theirs);
      for (const XdpMode mode : {XdpMode::automatic, XdpMode::native, XdpMode::generic}) {
        const auto refused = XdpAttachment::attach(guarded.filter().program_fd(), "near", mode);
        REQUIRE(!refused);
        CHECK(refused.error().sys_errno == EBUSY);
        CHECK(refused.error().what.find("program 'xdp_ip_filter' (id ") != std::string::npos);
        CHECK(refused.error().what.ends_with("is already attached and is left alone"));
      }
      CHECK(has_program("near"));
    }
    // Attached without a link, like `ip link set dev near xdp`.
    const int near = static_cast<int>(if_nametoindex("near"));
    REQUIRE(bpf_xdp_attach(near, other.filter().program_fd(), XDP_FLAGS_SKB_MODE, nullptr) == 0);
    const auto refused =
        XdpAttachment::attach(guarded.filter().program_fd(), "near", XdpMode::automatic);
    REQUIRE(!refused);
    CHECK(refused.error().sys_errno == EBUSY);
  });
}

TEST_CASE("an interface that is removed and returns is noticed and can be attached again") {
  in_own_network([] {
    make_veth();
    Guarded guarded({blocked("192.0.2.7"), blocked("2001:db8::7")});
    const XdpAttachment first = attached(guarded, "near", XdpMode::automatic);
    CHECK(first.is_current());
    ip("link del near");
    CHECK(!first.is_current());
    const auto gone =
        XdpAttachment::attach(guarded.filter().program_fd(), "near", XdpMode::automatic);
    REQUIRE(!gone);
    CHECK(gone.error().sys_errno == ENODEV);
    make_veth();
    CHECK(!first.is_current());
    const XdpAttachment second = attached(guarded, "near", XdpMode::automatic);
    CHECK(second.is_current());
    check_filtering();
  });
}

TEST_CASE("nothing stays on the interface when its process is killed") {
  in_own_network([] {
    make_veth();
    Guarded guarded({blocked("192.0.2.7")});
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const auto attachment =
          XdpAttachment::attach(guarded.filter().program_fd(), "near", XdpMode::automatic);
      const char answer = attachment ? 'y' : 'n';
      if (write(ready[1], &answer, 1) == 1) pause();
      _exit(1);
    }
    char answer = 0;
    REQUIRE(read(ready[0], &answer, 1) == 1);
    CHECK(answer == 'y');
    CHECK(has_program("near"));
    REQUIRE(kill(child, SIGKILL) == 0);
    REQUIRE(waitpid(child, nullptr, 0) == child);
    close(ready[0]);
    close(ready[1]);
    CHECK(!has_program("near"));
  });
}
