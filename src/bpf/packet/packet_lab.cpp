#include "bpf/packet/packet_lab.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "bpf/netlink.h"
#include "core/address/address.h"

namespace sni {
namespace {

// The kernel processes link changes once a second if there are many (linkwatch_nextevent).
constexpr int running_timeout_ms = 5000;
constexpr std::uint16_t create = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

Result<UniqueFd> new_space() {
  if (::unshare(CLONE_NEWNET) != 0)
    return fail_sys("cannot make a network namespace (CAP_SYS_ADMIN)", errno);
  auto space = UniqueFd::adopt(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!space) return fail_sys("cannot open a network namespace", errno);
  return space;
}

// The wire's end here is "near"; its other one is "far", in the namespace `peer`.
Result<void> add_veth(NetlinkSocket& route, int peer) {
  NetlinkRequest request(RTM_NEWLINK, create, ifinfomsg{});
  request.put_string(IFLA_IFNAME, "near");
  const auto info = request.begin_nest(IFLA_LINKINFO);
  request.put_string(IFLA_INFO_KIND, "veth");
  const auto data = request.begin_nest(IFLA_INFO_DATA);
  const auto other = request.begin_nest(VETH_INFO_PEER);
  const ifinfomsg header{};
  request.put_bytes(std::as_bytes(std::span(&header, 1)));
  request.put_string(IFLA_IFNAME, "far");
  request.put_value(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer));
  request.end_nest(other);
  request.end_nest(data);
  request.end_nest(info);
  return route.ask(request);
}

Result<void> set_up(NetlinkSocket& route, std::uint32_t index) {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(index);
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK, link);
  return route.ask(request);
}

Result<void> add_address(NetlinkSocket& route, std::uint32_t index, std::string_view text,
                         std::uint8_t length) {
  const IpAddress address = *parse_ip(text);
  const bool v4 = address.is_v4();
  ifaddrmsg header{};
  header.ifa_family = v4 ? AF_INET : AF_INET6;
  header.ifa_prefixlen = length;
  header.ifa_flags = IFA_F_NODAD;  // No other host is there, and the test must not wait.
  header.ifa_index = index;
  NetlinkRequest request(RTM_NEWADDR, create, header);
  const auto bytes = std::as_bytes(std::span(address.bytes)).last(v4 ? 4 : 16);
  request.put(IFA_LOCAL, bytes);
  request.put(IFA_ADDRESS, bytes);
  return route.ask(request);
}

// Adds the addresses of one end of the wire. Returns whether it also has IPv6.
Result<bool> furnish(const char* name, std::string_view v4, std::string_view v6) {
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  if (!route) return std::unexpected(route.error());
  const std::uint32_t loopback = ::if_nametoindex("lo");
  const std::uint32_t wire = ::if_nametoindex(name);
  if (auto done = set_up(*route, loopback); !done) return std::unexpected(done.error());
  if (auto done = set_up(*route, wire); !done) return std::unexpected(done.error());
  if (auto done = add_address(*route, wire, v4, 24); !done) return std::unexpected(done.error());
  return add_address(*route, wire, v6, 64).has_value();  // An error: IPv6 is off on this host.
}

// Until both ends are running the kernel drops their packets: it activates a device's queue some
// time after the other end is up (linkwatch).
Result<void> await_running(const char* name) {
  const auto socket = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::ranges::copy(std::string_view(name), request.ifr_name);
  for (int waited_ms = 0; waited_ms < running_timeout_ms; ++waited_ms) {
    if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
      return fail_sys("cannot look at an interface", errno);
    if (request.ifr_flags & IFF_RUNNING) return {};
    ::poll(nullptr, 0, 1);
  }
  return fail("a veth pair does not come up");
}

}  // namespace

Result<PacketLab> PacketLab::build(int program_fd) {
  PacketLab lab;
  auto far = new_space();
  if (!far) return std::unexpected(far.error());
  auto proxy = new_space();
  if (!proxy) return std::unexpected(proxy.error());
  lab.far_ = std::move(*far);
  lab.proxy_ = std::move(*proxy);
  if (auto done = lab.lay_wire(); !done) return std::unexpected(done.error());
  if (auto done = lab.attach(program_fd); !done) return std::unexpected(done.error());
  return lab;
}

Result<PacketLab> PacketLab::on_own_loopback() {
  PacketLab lab;
  lab.loopback_ = ::if_nametoindex("lo");
  if (lab.loopback_ == 0) return fail_sys("there is no lo", errno);
  lab.wire_ = lab.loopback_;
  return lab;
}

Result<void> PacketLab::enter(const UniqueFd& space) {
  if (!space) return {};  // on_own_loopback()
  if (::setns(space.get(), CLONE_NEWNET) != 0)
    return fail_sys("cannot enter a network namespace (CAP_SYS_ADMIN)", errno);
  return {};
}

Result<void> PacketLab::lay_wire() {
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  if (!route) return std::unexpected(route.error());
  if (auto done = add_veth(*route, far_.get()); !done)
    return fail("cannot make a veth pair: " + done.error().what);
  if (auto done = enter_far(); !done) return done;
  const auto far_v6 = furnish("far", "198.18.0.2", "2001:db8::2");
  if (auto done = enter_proxy(); !done) return done;
  if (!far_v6) return std::unexpected(far_v6.error());
  const auto near_v6 = furnish("near", "198.18.0.1", "2001:db8::1");
  if (!near_v6) return std::unexpected(near_v6.error());
  has_ipv6_ = *far_v6 && *near_v6;
  if (auto done = await_running("near"); !done) return done;
  if (auto done = enter_far(); !done) return done;
  if (auto done = await_running("far"); !done) return done;
  if (auto done = enter_proxy(); !done) return done;
  wire_ = ::if_nametoindex("near");
  loopback_ = ::if_nametoindex("lo");
  return {};
}

Result<void> PacketLab::attach(int program_fd) {
  auto attacher = TcAttacher::open({.program_fd = program_fd, .kind = std::nullopt});
  if (!attacher) return std::unexpected(attacher.error());
  const std::pair<const char*, TcDirection> hooks[] = {{"near", TcDirection::ingress},
                                                       {"lo", TcDirection::egress}};
  for (const auto& [interface, direction] : hooks) {
    auto attached = attacher->attach(interface, direction);
    if (!attached) return std::unexpected(attached.error());
    attachments_.push_back(std::move(*attached));
  }
  return {};
}

}  // namespace sni
