#include "bpf/packet/local_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace sni {
namespace {

// Ports that share() examines before it leaves the choice to the kernel.
constexpr std::size_t looks_max = 32;

// The programs' keys know no interface of a link-local address, nor does who restores a flow.
Endpoint unscoped(Endpoint backend) {
  backend.scope = 0;
  return backend;
}

// Both keep the ports sorted. false: it is there already.
bool insert(std::vector<std::uint16_t>& ports, std::uint16_t port) {
  const auto place = std::ranges::lower_bound(ports, port);
  if (place != ports.end() && *place == port) return false;
  ports.insert(place, port);
  return true;
}

// false: it is not there.
bool erase(std::vector<std::uint16_t>& ports, std::uint16_t port) {
  const auto place = std::ranges::lower_bound(ports, port);
  if (place == ports.end() || *place != port) return false;
  ports.erase(place);
  return true;
}

// Binds to this port of any address.
Result<void> bind_any(int fd, sa_family_t family, std::uint16_t port) {
  sockaddr_storage address{};
  socklen_t size = sizeof(sockaddr_in);
  if (family == AF_INET6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    size = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
  }
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return {};
  return fail_sys("cannot bind to local port " + std::to_string(port), errno);
}

Result<void> set_repair(int fd, int how) {
  if (::setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &how, sizeof how) == 0) return {};
  return fail_sys("cannot set TCP_REPAIR (CAP_NET_ADMIN)", errno);
}

// Under TCP_REPAIR a bind has no conflicts (SK_FORCE_REUSE in inet_csk_get_port()). Without it,
// every connection of another program from this port, or its TIME_WAIT, would refuse us the port,
// unless it had SO_REUSEADDR.
Result<void> bind_beside_others(int fd, sa_family_t family, std::uint16_t port) {
  auto done = set_repair(fd, TCP_REPAIR_ON);
  if (done) done = bind_any(fd, family, port);
  // The end of TCP_REPAIR takes SO_REUSEADDR away, without which our own binds would conflict.
  if (done) done = set_repair(fd, TCP_REPAIR_OFF_NO_WP);
  return done ? allow_holding(fd) : done;
}

// Bound to any address: with IPv6 on the host, to both families.
Result<UniqueFd> bound_on_any(std::uint16_t port) {
  for (const sa_family_t family : {sa_family_t{AF_INET6}, sa_family_t{AF_INET}}) {
    auto holder = UniqueFd::adopt(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!holder) {
      if (errno == EAFNOSUPPORT) continue;
      break;
    }
    const int off = 0;
    if (family == AF_INET6) {
      ::setsockopt(holder.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    const auto bound = bind_beside_others(holder.get(), family, port);
    if (bound) return holder;
    if (bound.error().sys_errno != EADDRNOTAVAIL) return std::unexpected(bound.error());
    // IPv6 is switched off.
  }
  return fail_sys("cannot hold local port " + std::to_string(port), errno);
}

}  // namespace

Result<void> allow_holding(int fd) {
  const int on = 1;
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return fail_sys("cannot set SO_REUSEADDR", errno);
  }
  return {};
}

Result<void> bind_local_port(int fd, sa_family_t family, std::uint16_t port) {
  if (const auto allowed = allow_holding(fd); !allowed) return allowed;
  return bind_any(fd, family, port);
}

std::optional<std::uint16_t> LocalPorts::share(const Endpoint& backend) {
  if (ports_.size() < std::max(limits_.sharing_from, 1U)) return std::nullopt;
  Tuples& tuples = tuples_[unscoped(backend)];
  // Its entry is not empty then. The cursor stays at the end, where the next port will be.
  if (tuples.ports.size() == ports_.size()) return std::nullopt;
  for (std::size_t i = 0; i < looks_max; ++i) {
    if (tuples.cursor >= ports_.size()) tuples.cursor = 0;
    const std::uint16_t port = ports_[tuples.cursor++];
    if (!insert(tuples.ports, port)) continue;
    ++holders_[port].tuples;
    counts_.shared.add();
    return port;
  }
  return std::nullopt;
}

bool LocalPorts::hold(const Endpoint& backend, std::uint16_t port) {
  auto found = holders_.find(port);
  if (found == holders_.end()) {
    if (holders_.size() >= limits_.holders) {
      counts_.exhausted.add();
      return false;
    }
    auto bound = bound_on_any(port);
    if (!bound) {
      counts_.refused.add();
      return false;
    }
    found =
        holders_.try_emplace(port, Holder{.fd = std::move(*bound), .place = ports_.size()}).first;
    ports_.push_back(port);
  }
  // A connect from it is under way.
  if (!insert(tuples_[unscoped(backend)].ports, port)) return false;
  ++found->second.tuples;
  return true;
}

void LocalPorts::release(const Endpoint& backend, std::uint16_t port, bool rest,
                         std::uint64_t now_ms) {
  if (!rest) return drop(backend, port);
  resting_.push_back({.backend = backend, .port = port, .until_ms = now_ms + limits_.rest_ms});
}

void LocalPorts::expire(std::uint64_t now_ms) {
  while (!resting_.empty() && resting_.front().until_ms <= now_ms) {
    drop(resting_.front().backend, resting_.front().port);
    resting_.pop_front();
  }
}

void LocalPorts::drop(const Endpoint& backend, std::uint16_t port) {
  const auto tuples = tuples_.find(unscoped(backend));
  if (tuples == tuples_.end() || !erase(tuples->second.ports, port)) return;
  if (tuples->second.ports.empty()) tuples_.erase(tuples);
  const auto holder = holders_.find(port);
  if (--holder->second.tuples > 0) return;
  const std::size_t place = holder->second.place;
  ports_[place] = ports_.back();
  holders_[ports_[place]].place = place;
  ports_.pop_back();
  holders_.erase(port);
}

}  // namespace sni
