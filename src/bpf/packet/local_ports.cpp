#include "bpf/packet/local_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace sni {
namespace {

// Bound on any address, IPv4 too where the host has IPv6 at all. Port 0: the kernel chooses. Gives
// the port.
Result<std::uint16_t> hold(UniqueFd& holder, std::uint16_t port) {
  for (const sa_family_t family : {sa_family_t{AF_INET6}, sa_family_t{AF_INET}}) {
    holder = UniqueFd::adopt(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!holder) {
      if (errno == EAFNOSUPPORT) continue;
      break;
    }
    const int off = 0;
    if (family == AF_INET6) {
      ::setsockopt(holder.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (const auto bound = bind_local_port(holder.get(), family, port); !bound) {
      if (bound.error().sys_errno == EADDRNOTAVAIL) continue;  // IPv6 is switched off.
      return std::unexpected(bound.error());
    }
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(holder.get(), reinterpret_cast<sockaddr*>(&address), &size);
    if (const auto local = from_sockaddr(address)) return local->port;
  }
  return fail_sys("cannot reserve a local port", errno);
}

}  // namespace

Result<void> bind_local_port(int fd, sa_family_t family, std::uint16_t port) {
  const int on = 1;
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
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return fail_sys("cannot bind to local port " + std::to_string(port), errno);
  }
  return {};
}

std::optional<std::uint16_t> LocalPorts::take(const Endpoint& backend, std::uint64_t now_ms) {
  auto found = backends_.find(backend);
  if (found == backends_.end()) {
    if (backends_.size() >= limits_.backends) drop_idle_backend(now_ms);
    if (backends_.size() >= limits_.backends) {
      ++counters_.exhausted;
      return std::nullopt;
    }
    found = backends_.try_emplace(backend).first;
  }
  Tuples& tuples = found->second;
  while (!tuples.resting.empty() && tuples.resting.front().until_ms <= now_ms) {
    tuples.free.push_back(tuples.resting.front().port);
    tuples.resting.pop_front();
  }
  std::optional<std::uint16_t> port;
  if (!tuples.free.empty()) {
    port = tuples.free.back();
    tuples.free.pop_back();
  }
  while (!port && (tuples.next < ports_.size() || grow(0))) {
    const std::uint16_t candidate = ports_[tuples.next++];
    if (std::erase(tuples.ahead, candidate) == 0) port = candidate;
  }
  if (!port) {
    ++counters_.exhausted;
    return std::nullopt;
  }
  ++tuples.live;
  ++live_;
  ++counters_.taken;
  return port;
}

void LocalPorts::release(const Endpoint& backend, std::uint16_t port, bool used,
                         std::uint64_t now_ms) {
  const auto found = backends_.find(backend);
  if (found == backends_.end()) return;
  Tuples& tuples = found->second;
  --tuples.live;
  --live_;
  if (used) {
    tuples.resting.push_back({.port = port, .until_ms = now_ms + limits_.rest_ms});
  } else {
    tuples.free.push_back(port);
  }
}

bool LocalPorts::adopt(const Endpoint& backend, std::uint16_t port) {
  if (std::ranges::find(ports_, port) == ports_.end() && !grow(port)) return false;
  Tuples& tuples = backends_[backend];
  tuples.ahead.push_back(port);
  ++tuples.live;
  ++live_;
  return true;
}

bool LocalPorts::grow(std::uint16_t port) {
  if (ports_.size() >= limits_.ports) return false;
  UniqueFd holder;
  const auto held = hold(holder, port);
  if (!held) {
    ++counters_.refused;
    return false;
  }
  ports_.push_back(*held);
  holders_.push_back(std::move(holder));
  return true;
}

void LocalPorts::drop_idle_backend(std::uint64_t now_ms) {
  const auto idle = std::ranges::find_if(backends_, [now_ms](const auto& each) {
    const Tuples& tuples = each.second;
    return tuples.live == 0 && (tuples.resting.empty() || tuples.resting.back().until_ms <= now_ms);
  });
  if (idle != backends_.end()) backends_.erase(idle);
}

}  // namespace sni
