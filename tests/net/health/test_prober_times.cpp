// When the prober checks: its first checks, and the intervals between them.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/health/prober.h"
#include "support/checked_backends.h"

using namespace sni;
using namespace sni::test;

namespace {

// Backends at addresses of their own on loopback, and one listener that sees all their checks. The
// time is the test's own, so the start of a check is exact however slow the machine is.
struct Timed {
  static constexpr std::size_t backends = 20;
  static constexpr std::uint64_t start_ms = 1'000'000;

  explicit Timed(std::uint32_t jitter) {
    const std::uint16_t port = listening.endpoint.port;
    std::vector<HealthTarget> targets;
    for (std::uint8_t last = 1; last <= backends; ++last) {
      HealthTarget target = checked.target({.ip = IpAddress::v4(127, 0, 0, last), .port = port});
      target.config.interval = 10s;
      target.config.timeout = 5s;
      target.config.jitter = jitter;
      targets.push_back(std::move(target));
    }
    REQUIRE(checked.prober
                ->configure(std::move(targets), {}, std::make_shared<SystemNames>(), {}, start_ms)
                .has_value());
  }

  // Until each backend had so many checks.
  void run(std::size_t checks) {
    const auto all = [&] {
      return starts.size() == backends && std::ranges::all_of(starts, [&](const auto& each) {
               return each.second.size() >= checks;
             });
    };
    for (int step = 0; step < 1000 && !all(); ++step) {
      at_ms = *checked.prober->deadline_ms(at_ms);
      checked.prober->dispatch(at_ms);
      // Each check ends before the time goes on, so that every deadline is the start of one.
      REQUIRE(readable(checked.prober->fd(), 20'000));
      while (readable(checked.prober->fd(), 1)) checked.prober->dispatch(at_ms);
      REQUIRE(readable(listening.fd.get(), 20'000));
      while (take()) {
      }
    }
    REQUIRE(all());
  }
  std::vector<std::uint64_t> intervals_of(const std::string& address) const {
    const auto& times = starts.at(address);
    std::vector<std::uint64_t> intervals;
    for (std::size_t i = 1; i < times.size(); ++i) intervals.push_back(times[i] - times[i - 1]);
    return intervals;
  }

  Listening listening{0, IpAddress::v4(0, 0, 0, 0)};
  Checked checked;
  std::uint64_t at_ms = start_ms;
  std::map<std::string, std::vector<std::uint64_t>> starts;  // By the backend's address.

 private:
  static bool readable(int fd, int wait_ms) {
    pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&one, 1, wait_ms) == 1;
  }
  bool take() {
    const UniqueFd taken = UniqueFd::adopt(
        accept4(listening.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (taken) starts[local_of(taken.get()).ip.to_string()].push_back(at_ms);
    return static_cast<bool>(taken);
  }
};

}  // namespace

TEST_CASE("the first checks are spread over their interval") {
  Timed timed(10);
  timed.run(1);
  std::vector<std::size_t> tenths(10);
  for (const auto& [address, times] : timed.starts) {
    const std::uint64_t tenth = (times.front() - Timed::start_ms) / 1000;
    REQUIRE(tenth < tenths.size());
    ++tenths[tenth];
  }
  CHECK(tenths == std::vector<std::size_t>(10, 2));
}

TEST_CASE("the intervals of checks vary both ways, within their bounds") {
  Timed timed(10);
  timed.run(4);
  std::size_t varied = 0;
  std::vector<std::uint64_t> all;
  for (const auto& [address, times] : timed.starts) {
    const auto intervals = timed.intervals_of(address);
    varied += intervals[0] != intervals[1] ? 1 : 0;
    all.insert(all.end(), intervals.begin(), intervals.end());
  }
  CHECK(varied >= Timed::backends - 2);  // Two may be equal by chance, one in 2000.
  CHECK(std::ranges::min(all) >= 9'000);
  CHECK(std::ranges::max(all) <= 11'000);
  CHECK(std::ranges::min(all) < 9'700);
  CHECK(std::ranges::max(all) > 10'300);
}

TEST_CASE("without jitter each interval is the configured one") {
  Timed timed(0);
  timed.run(3);
  for (const auto& [address, times] : timed.starts) {
    for (const std::uint64_t interval : timed.intervals_of(address)) CHECK(interval == 10'000);
  }
}
