#include "bench/load.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "bench/poller.h"

namespace sni::bench {
namespace {

// How long a connection may take to be established.
constexpr timeval connect_timeout{.tv_sec = 5, .tv_usec = 0};

Result<UniqueFd> bound_socket(const Target& target, std::uint32_t number, int flags) {
  UniqueFd fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) return fail_sys("cannot make a client socket", errno);
  const int on = 1;
  // connect() chooses the port, since it knows the peer: otherwise one source would have only
  // 64,000 in all.
  ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr = target.sources[number % target.sources.size()];
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) {
    return fail_sys("cannot bind a client's source address", errno);
  }
  no_delay(fd.get());
  return fd;
}

int connect_to(const Target& target, std::uint32_t number, int fd) {
  const sockaddr_in& address = target.addresses[number % target.addresses.size()];
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace

std::vector<std::byte> first_bytes(const Target& target, std::uint32_t number,
                                   const Command& command) {
  std::vector<std::byte> bytes = target.hellos[number % target.hellos.size()];
  const auto* raw = reinterpret_cast<const std::byte*>(&command);
  bytes.insert(bytes.end(), raw, raw + sizeof command);
  return bytes;
}

Result<UniqueFd> start_connect(const Target& target, std::uint32_t number) {
  auto fd = bound_socket(target, number, SOCK_NONBLOCK);
  if (!fd) return fd;
  if (connect_to(target, number, fd->get()) != 0 && errno != EINPROGRESS) {
    return fail_sys("a client cannot connect", errno);
  }
  return fd;
}

Result<UniqueFd> open_session(const Target& target, std::uint32_t number, const Command& command) {
  auto fd = bound_socket(target, number, 0);
  if (!fd) return fd;
  ::setsockopt(fd->get(), SOL_SOCKET, SO_SNDTIMEO, &connect_timeout, sizeof connect_timeout);
  if (connect_to(target, number, fd->get()) != 0) {
    return fail_sys("a client cannot connect", errno);
  }
  const auto bytes = first_bytes(target, number, command);
  if (::send(fd->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    return fail_sys("a client cannot send its hello", errno);
  }
  ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  return fd;
}

std::vector<std::pair<double, double>> latency_curve(const Histogram& histogram) {
  std::vector<std::pair<double, double>> curve;
  if (histogram.total() == 0) return curve;
  for (const double share :
       {0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999}) {
    curve.emplace_back(share, histogram.quantile(share) / 1000);
  }
  return curve;
}

void add_latency(Outcome& outcome, const Histogram& histogram) {
  outcome.values["p50_us"] = histogram.quantile(0.5) / 1000;
  outcome.values["p99_us"] = histogram.quantile(0.99) / 1000;
  outcome.values["p999_us"] = histogram.quantile(0.999) / 1000;
  outcome.latency = latency_curve(histogram);
}

void add_usage(Outcome& outcome, const Usage& usage) {
  outcome.values["elapsed_s"] = usage.elapsed_s;
  outcome.values["busy_s"] = usage.busy_s;
  outcome.values["proxy_cpu_s"] = usage.proxy_s;
  outcome.values["own_cpu_s"] = usage.own_s;
}

}  // namespace sni::bench
