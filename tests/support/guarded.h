#pragma once

// xdp_ip_filter with lists in it, judging frames through BPF_PROG_TEST_RUN: no interface needed.

#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <linux/bpf.h>
#include <time.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bpf/xdp/xdp_filter.h"
#include "core/guard/guard_list.h"
#include "tests/support/guard_entries.h"
#include "tests/support/packet_builder.h"

namespace sni::test {

inline GuardTime boot_time() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<GuardTime>(now.tv_sec);
}

inline XdpGeneration generation_of(const GuardList& list, const XdpSettings& settings) {
  auto generation = XdpGeneration::create(settings, list.installed_addresses(),
                                          list.installed_prefixes().entries());
  REQUIRE_MESSAGE(generation, generation.error().what);
  return std::move(*generation);
}

inline XdpFilter loaded_filter() {
  auto filter = XdpFilter::load();
  REQUIRE_MESSAGE(filter, filter.error().what);
  return std::move(*filter);
}

// True: passed. A verdict other than pass or drop fails the test.
inline bool passes(const XdpFilter& filter, Bytes frame) {
  Bytes out(frame.size() + 64);
  bpf_test_run_opts options{.sz = sizeof options,
                            .data_in = frame.data(),
                            .data_out = out.data(),
                            .data_size_in = static_cast<std::uint32_t>(frame.size()),
                            .data_size_out = static_cast<std::uint32_t>(out.size())};
  REQUIRE(bpf_prog_test_run_opts(filter.program_fd(), &options) == 0);
  REQUIRE((options.retval == XDP_PASS || options.retval == XDP_DROP));
  return options.retval == XDP_PASS;
}

class Guarded {
 public:
  explicit Guarded(std::vector<GuardEntry> entries, XdpSettings settings = {})
      : list_(std::move(entries)), filter_(loaded_filter()) {
    if (settings.listener_ports.empty()) settings.listener_ports = {443};
    activate(settings);
  }

  void activate(const XdpSettings& settings) {
    REQUIRE(filter_.activate(generation_of(list_, settings)));
  }

  // Changes the list and the kernel's maps like a command.
  void set(const GuardEntry& entry) {
    GuardList::Plan plan = list_.plan(entry.prefix, entry.term);
    for (const GuardChange& change : plan.changes) REQUIRE(generation().apply(change));
    list_.commit(plan);
  }

  // Why the frame passed or was dropped, as counted by the program: once, and for the right
  // protocol.
  guard_reason judge(const Bytes& frame, guard_protocol protocol) {
    const XdpCounters before = *filter_.counters();
    const bool passed = passes(filter_, frame);
    const XdpCounters after = *filter_.counters();
    auto counted = GUARD_REASONS;
    for (std::uint32_t reason = 0; reason < GUARD_REASONS; ++reason) {
      for (std::uint32_t other = 0; other < GUARD_PROTOCOLS; ++other) {
        const std::uint64_t more = after.packets[reason][other] - before.packets[reason][other];
        if (more == 0) continue;
        CHECK(more == 1);
        CHECK(other == protocol);
        REQUIRE(counted == GUARD_REASONS);
        counted = static_cast<guard_reason>(reason);
      }
    }
    REQUIRE(counted != GUARD_REASONS);
    CHECK(passed == (counted < GUARD_DROP_BLOCKED));
    return counted;
  }

  guard_reason judge_v4(const std::string& source, std::uint16_t port = 443) {
    return judge(packet(Ethernet{}, Ipv4{.source = source}, Tcp{.target = port}), GUARD_IPV4);
  }
  guard_reason judge_v6(const std::string& source, std::uint16_t port = 443) {
    return judge(packet(Ethernet{ethertype_ipv6}, Ipv6{.source = source}, Tcp{.target = port}),
                 GUARD_IPV6);
  }

  const XdpFilter& filter() const { return filter_; }
  XdpFilter& filter() { return filter_; }
  XdpGeneration& generation() { return *filter_.active(); }

 private:
  GuardList list_;
  XdpFilter filter_;
};

}  // namespace sni::test
