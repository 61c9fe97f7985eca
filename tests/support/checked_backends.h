#pragma once

// A prober driven like by the main thread, and backends on loopback that it checks.

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/route/backend.h"
#include "net/health/prober.h"
#include "net/socket.h"

namespace sni::test {

using namespace std::chrono_literals;

inline std::uint64_t now_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

// Listens on loopback, and replies to any bytes with `answer`; empty: it only accepts.
struct Listening {
  explicit Listening(std::uint16_t port = 0, const IpAddress& ip = IpAddress::v4(127, 0, 0, 1)) {
    fd = UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage address{};
    const Endpoint wanted{.ip = ip, .port = port};
    const socklen_t length = to_sockaddr(wanted, address);
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(listen(fd.get(), 16) == 0);
    endpoint = local_of(fd.get());
  }
  // Accepts connections, and reads and answers those that have sent something.
  void serve() {
    for (;;) {
      UniqueFd taken =
          UniqueFd::adopt(accept4(fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!taken) break;
      connections.push_back(std::move(taken));
    }
    for (UniqueFd& each : connections) {
      std::array<char, 2048> bytes;
      const ssize_t count = each ? recv(each.get(), bytes.data(), bytes.size(), 0) : -1;
      if (count <= 0) continue;
      heard.append(bytes.data(), static_cast<std::size_t>(count));
      if (!answer.empty()) send(each.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      each.reset();
    }
  }
  UniqueFd fd;
  Endpoint endpoint;
  std::vector<UniqueFd> connections;
  std::string heard;
  std::string answer;
};

struct Checked {
  Checked() : board(std::make_unique<EndpointBoard>(SipKey{1, 2})) {
    auto created = HealthProber::create(*board);
    REQUIRE(created.has_value());
    prober = std::move(*created);
  }
  HealthTarget target(const Endpoint& endpoint, HealthCheck check = HealthCheck::tcp) {
    return {.backend = backends.intern(*parse_backend(endpoint.to_string())),
            .config = {.name = "often",
                       .check = check,
                       .interval = 100ms,
                       .timeout = 80ms,
                       .rise = 1,
                       .fall = 2},
            .server_name = "a.example"};
  }
  void check(std::vector<HealthTarget> targets, const DnsConfig& dns = {}) {
    REQUIRE(
        prober->configure(std::move(targets), dns, std::make_shared<SystemNames>(), {}, now_ms())
            .has_value());
  }
  template <typename Condition>
  bool until(Condition&& holds, Listening* peer = nullptr) {
    for (const std::uint64_t end = now_ms() + 20'000; now_ms() < end;) {
      if (holds()) return true;
      const auto due = prober->deadline_ms(now_ms());
      const std::uint64_t wait =
          due && *due > now_ms() ? std::min<std::uint64_t>(*due - now_ms(), 20) : (due ? 0 : 20);
      pollfd readable{.fd = prober->fd(), .events = POLLIN, .revents = 0};
      poll(&readable, 1, static_cast<int>(wait));
      if (peer != nullptr) peer->serve();
      prober->dispatch(now_ms());
    }
    return false;
  }
  bool held(const Endpoint& endpoint) const { return board->is_held(board->id_of(endpoint)); }

  BackendTable backends;
  std::unique_ptr<EndpointBoard> board;
  std::unique_ptr<HealthProber> prober;
};

}  // namespace sni::test
