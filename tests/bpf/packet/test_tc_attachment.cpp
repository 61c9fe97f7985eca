#include "bpf/packet/tc_attachment.h"

#include <doctest/doctest.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <sys/wait.h>

#include <string>

#include "bpf/packet/tcx_link.h"
#include "tests/support/dns_pins.h"
#include "tests/support/own_network.h"
#include "tests/support/tc_program.h"

using namespace sni;
using namespace sni::test;

namespace {

TcAttacher opened(const TcProgram& program, std::optional<TcKind> kind,
                  const PinDirectory* pins = nullptr) {
  auto attacher = TcAttacher::open({.program_fd = program.fd(),
                                    .kind = kind,
                                    .pins = pins,
                                    .pinned_map = pins == nullptr ? 0 : program.map_id()});
  REQUIRE_MESSAGE(attacher, attacher.error().what);
  return std::move(*attacher);
}

TcAttachment attached(TcAttacher& attacher, const std::string& interface,
                      TcDirection direction = TcDirection::ingress) {
  auto attachment = attacher.attach(interface, direction);
  REQUIRE_MESSAGE(attachment, attachment.error().what);
  return std::move(*attachment);
}

std::vector<TcFilter> filters_of(const std::string& interface,
                                 TcDirection direction = TcDirection::ingress) {
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  REQUIRE(route);
  const auto filters = list_tc_filters(
      *route, {.interface = if_nametoindex(interface.c_str()), .direction = direction});
  REQUIRE_MESSAGE(filters, filters.error().what);
  return *filters;
}

// A foreign filter, as from `tc filter add dev near ingress prio 7 bpf da ...`.
void add_foreign_filter(const std::string& interface, const TcProgram& program) {
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  REQUIRE(route);
  tcmsg header{};
  header.tcm_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  header.tcm_handle = 1;
  header.tcm_info = TC_H_MAKE(7U << 16, htons(ETH_P_ALL));
  NetlinkRequest request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, header);
  request.put_string(TCA_KIND, "bpf");
  const std::size_t options = request.begin_nest(TCA_OPTIONS);
  request.put_value(TCA_BPF_FD, program.fd());
  request.put_string(TCA_BPF_NAME, "theirs");
  request.put_value(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  request.end_nest(options);
  const auto added = route->ask(request);
  REQUIRE_MESSAGE(added, added.error().what);
}

void send_from(const std::string& interface) {
  Wire(interface).send(packet(Ethernet{}, Ipv4{.source = "198.18.0.1"}, Tcp{}));
}

std::vector<TcKind> kinds() {
  if (kernel_has_tcx()) return {TcKind::tcx, TcKind::clsact};
  return {TcKind::clsact};
}

}  // namespace

TEST_CASE("a program sees the packets of its interface while it is attached, and none afterwards") {
  in_own_network([] {
    make_veth();
    for (const TcKind kind : kinds()) {
      const TcProgram program(tc_act_unspec);
      TcAttacher attacher = opened(program, kind);
      {
        const TcAttachment attachment = attached(attacher, "near");
        CHECK(attachment.kind() == kind);
        CHECK(attachment.is_current());
        const auto before = program.count();
        send_from("far");
        CHECK(program.count() > before);
      }
      const auto after = program.count();
      send_from("far");
      CHECK(program.count() == after);
      CHECK(filters_of("near").empty());
    }
  });
}

TEST_CASE("loopback's egress is caught") {
  in_own_network([] {
    for (const TcKind kind : kinds()) {
      const TcProgram program(tc_act_unspec);
      TcAttacher attacher = opened(program, kind);
      const TcAttachment attachment = attached(attacher, "lo", TcDirection::egress);
      send_from("lo");
      CHECK(program.count() > 0);
    }
  });
}

TEST_CASE("tcx is used if the kernel has it, unless the interface has foreign filters") {
  in_own_network([] {
    make_veth();
    const TcProgram program(tc_act_unspec);
    TcAttacher attacher = opened(program, std::nullopt);
    CHECK(attached(attacher, "near").kind() == (kernel_has_tcx() ? TcKind::tcx : TcKind::clsact));
    tc("qdisc add dev near clsact");
    add_foreign_filter("near", TcProgram(tc_act_unspec));
    CHECK(attached(attacher, "near").kind() == TcKind::clsact);
  });
}

TEST_CASE("the verdicts of others come first: what they accept or drop we do not see") {
  in_own_network([] {
    make_veth();
    tc("qdisc add dev near clsact");
    const TcProgram theirs(tc_act_ok);
    add_foreign_filter("near", theirs);
    const TcProgram ours(tc_act_unspec);
    {
      TcAttacher attacher = opened(ours, std::nullopt);
      const TcAttachment attachment = attached(attacher, "near");
      send_from("far");
      CHECK(theirs.count() > 0);
      CHECK(ours.count() == 0);
    }
    // The qdisc was theirs, and stays with their filter.
    REQUIRE(filters_of("near").size() == 1);
    CHECK(filters_of("near").front().priority == 7);
  });
  if (!kernel_has_tcx()) return;
  in_own_network([] {
    make_veth();
    const TcProgram theirs(tc_act_ok);
    const TcProgram ours(tc_act_unspec);
    const auto link =
        create_tcx_link(theirs.fd(), {.interface = if_nametoindex("near"), .direction = {}});
    REQUIRE(link);
    TcAttacher attacher = opened(ours, std::nullopt);
    const TcAttachment attachment = attached(attacher, "near");
    send_from("far");
    CHECK(theirs.count() > 0);
    CHECK(ours.count() == 0);
  });
}

TEST_CASE("a second instance stands beside the first and does not replace it") {
  in_own_network([] {
    make_veth();
    for (const TcKind kind : kinds()) {
      const TcProgram one(tc_act_unspec);
      const TcProgram two(tc_act_unspec);
      TcAttacher first = opened(one, kind);
      TcAttacher second = opened(two, kind);
      const TcAttachment ours = attached(first, "near");
      CHECK(second.remove_orphans() == 0);
      {
        const TcAttachment theirs = attached(second, "near");
        send_from("far");
        CHECK(one.count() > 0);
        CHECK(two.count() > 0);
      }
      const auto before = one.count();
      send_from("far");
      CHECK(one.count() > before);
    }
  });
}

TEST_CASE("after a crash nothing stays by tcx, and a filter goes when the next process looks") {
  in_own_network([] {
    make_veth();
    for (const TcKind kind : kinds()) {
      const TcProgram program(tc_act_unspec);
      int ready[2];
      REQUIRE(pipe(ready) == 0);
      const pid_t child = fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        auto attacher = TcAttacher::open({.program_fd = program.fd(), .kind = kind});
        const auto attachment = attacher->attach("near", TcDirection::ingress);
        const char answer = attachment ? 'y' : 'n';
        if (write(ready[1], &answer, 1) == 1) pause();
        _exit(1);
      }
      char answer = 0;
      REQUIRE(read(ready[0], &answer, 1) == 1);
      CHECK(answer == 'y');
      const TcProgram mine(tc_act_unspec);
      TcAttacher next = opened(mine, kind);
      CHECK(next.remove_orphans() == 0);
      REQUIRE(kill(child, SIGKILL) == 0);
      REQUIRE(waitpid(child, nullptr, 0) == child);
      close(ready[0]);
      close(ready[1]);
      CHECK(next.remove_orphans() == (kind == TcKind::clsact ? 1 : 0));
      const auto before = program.count();
      send_from("far");
      CHECK(program.count() == before);
    }
  });
}

TEST_CASE("a pinned program runs on without its process, and the next one replaces it in place") {
  in_own_network([] {
    make_veth();
    const UniqueFd file_system = detached_bpf_fs();
    for (const TcKind kind : kinds()) {
      const std::string path = path_in(file_system, "sni-proxy");
      const TcProgram first(tc_act_unspec);
      {
        const auto pins = PinDirectory::open(path, 1);
        REQUIRE_MESSAGE(pins, pins.error().what);
        TcAttacher attacher = opened(first, kind, &*pins);
        CHECK(!attached(attacher, "near").taken_over());
      }
      send_from("far");
      const auto before = first.count();
      CHECK(before > 0);

      const auto pins = PinDirectory::open(path, 1);
      REQUIRE_MESSAGE(pins, pins.error().what);
      const TcProgram stranger(tc_act_unspec);
      CHECK(opened(stranger, kind).remove_orphans() == 0);
      // The same map and another program: the update of a restart.
      const TcProgram second(tc_act_unspec, first.map_fd());
      TcAttacher attacher = opened(second, kind, &*pins);
      CHECK(attacher.left_behind() ==
            std::vector<std::pair<std::string, TcDirection>>{{"near", TcDirection::ingress}});
      TcAttachment taken = attached(attacher, "near");
      CHECK(taken.taken_over());
      CHECK(taken.kind() == kind);
      send_from("far");
      CHECK(first.count() > before);
      if (kind == TcKind::clsact) {
        REQUIRE(filters_of("near").size() == 1);
        CHECK(filters_of("near").front().program_id == second.id());
      }
      taken.detach();
      CHECK(attacher.left_behind().empty());
      const auto after = first.count();
      send_from("far");
      CHECK(first.count() == after);
      pins->clear();
    }
  });
}

TEST_CASE("an interface that is gone is noticed, and one that is missing is an error") {
  in_own_network([] {
    make_veth();
    const TcProgram program(tc_act_unspec);
    for (const TcKind kind : kinds()) {
      TcAttacher attacher = opened(program, kind);
      const TcAttachment attachment = attached(attacher, "near");
      ip("link del near");
      CHECK(!attachment.is_current());
      const auto refused = attacher.attach("near", TcDirection::ingress);
      REQUIRE(!refused);
      CHECK(refused.error().sys_errno == ENODEV);
      make_veth();
      CHECK(!attachment.is_current());
    }
  });
}

TEST_CASE("a foreign ingress qdisc serves for ingress and is refused for egress") {
  in_own_network([] {
    make_veth();
    tc("qdisc add dev near ingress");
    const TcProgram program(tc_act_unspec);
    TcAttacher attacher = opened(program, TcKind::clsact);
    {
      const TcAttachment attachment = attached(attacher, "near");
      send_from("far");
      CHECK(program.count() > 0);
      const auto refused = attacher.attach("near", TcDirection::egress);
      REQUIRE(!refused);
      CHECK(refused.error().what ==
            "cannot attach to near (tc egress): a qdisc of kind 'ingress' is there, which has no "
            "egress");
    }
    CHECK(filters_of("near").empty());
  });
}
