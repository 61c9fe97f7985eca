// sni-guard: how long a big blocklist takes to load, and what workers notice of it. Run as root:
//   build/release/bench/sni-guard [prefixes] [addresses]
//
// Threads that replace workers wake 4,000 times a second and check a source each time, like a
// worker at accept. A stall is the delay of the answer: the wait for the CPU, for a lock and for
// the check itself. The first line is the machine without any reload, for comparison. Then a list
// is read from its text and loaded, swapped for another one of the same size, and the old one is
// freed. XDP is attached to a veth in a network namespace that ends with the program; without root
// there is no XDP.

#include <poll.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/clock.h"
#include "bench/process.h"
#include "core/decimal.h"
#include "core/guard/block_file.h"
#include "core/limits.h"
#include "net/guard/guard.h"

namespace sni::bench {
namespace {

constexpr std::uint64_t period_ns = 250'000;
constexpr std::uint64_t quiet_ns = 3 * second_ns;
constexpr std::uint64_t freeing_ns = 10 * second_ns;  // The old list is freed piece by piece.

enum Phase : std::uint8_t { quiet, load, swap, freeing, phases };
constexpr std::array titles = {"no reload", "load into an empty guard", "swap for another list",
                               "the old list is freed"};

// The observations of one worker.
struct Seen {
  std::array<std::vector<std::uint64_t>, phases> late_ns;
  std::array<std::uint64_t, phases> check_max_ns{};
};

class Workers {
 public:
  explicit Workers(const Admission& admission) {
    seen_.resize(std::max(1u, std::thread::hardware_concurrency()));
    for (Seen& seen : seen_) {
      threads_.emplace_back([this, &seen, &admission](const std::stop_token& stop) {
        prctl(PR_SET_TIMERSLACK, 1);
        std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same in every run.
        std::uint64_t due_ns = now_ns();
        while (!stop.stop_requested()) {
          due_ns += period_ns;
          const timespec due{.tv_sec = static_cast<time_t>(due_ns / second_ns),
                             .tv_nsec = static_cast<long>(due_ns % second_ns)};
          clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
          const std::uint64_t begin = now_ns();
          const auto bits = static_cast<std::uint32_t>(random());
          const auto byte = [&](int shift) { return static_cast<std::uint8_t>(bits >> shift); };
          static_cast<void>(admission.refuses(IpAddress::v4(byte(24), byte(16), byte(8), byte(0))));
          const std::uint64_t end = now_ns();
          const Phase phase = phase_;
          seen.late_ns[phase].push_back(end - due_ns);
          seen.check_max_ns[phase] = std::max(seen.check_max_ns[phase], end - begin);
          due_ns = std::max(due_ns, end - period_ns);  // Delayed checks are not made up for.
        }
      });
    }
  }

  void enter(Phase phase) { phase_ = phase; }
  std::vector<Seen> stop() {
    threads_.clear();
    return std::move(seen_);
  }

 private:
  std::vector<Seen> seen_;
  std::atomic<Phase> phase_{quiet};
  std::vector<std::jthread> threads_;  // Ends before the data that it uses.
};

// Prefixes of /20 to /28 with single sources in them, and scattered addresses, as in public lists.
std::string block_file(unsigned prefixes, unsigned addresses, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  const auto add = [&](unsigned length) {
    const auto bits = static_cast<std::uint32_t>(random()) & (~std::uint32_t{0} << (32 - length));
    for (int shift = 24; shift >= 0; shift -= 8) {
      text += std::to_string(bits >> shift & 0xff) + (shift > 0 ? "." : "");
    }
    text += length < 32 ? "/" + std::to_string(length) + "\n" : "\n";
  };
  for (unsigned i = 0; i < prefixes; ++i) add(20 + static_cast<unsigned>(random() % 9));
  for (unsigned i = 0; i < addresses; ++i) add(32);
  return text;
}

GuardInput input_of(const std::string& text) {
  return {.access = {},
          .block_file = parse_block_file(text, "list").entries,
          .bans = {},
          .listener_ports = {443}};
}

// Reads and reloads as the main thread of the proxy does, and returns when the new set is in use.
std::uint64_t reload(Guard& guard, const std::string& text) {
  const std::uint64_t begin = now_ns();
  guard.reload(input_of(text));
  while (guard.is_rebuilding()) {
    pollfd ready{.fd = guard.fd(), .events = POLLIN, .revents = 0};
    poll(&ready, 1, guard.wait_ms());
    guard.work();
  }
  return now_ns() - begin;
}

XdpConfig attach_to_own_veth() {
  const auto done = [](std::vector<std::string> words) {
    words.insert(words.begin(), find_program("ip"));
    return run_tool(words).has_value();
  };
  if (unshare(CLONE_NEWNET) != 0 ||
      !done({"link", "add", "front", "type", "veth", "peer", "name", "far"}) ||
      !done({"link", "set", "front", "up"}) || !done({"link", "set", "far", "up"})) {
    std::printf("Without XDP: no network namespace could be made.\n\n");
    return {};
  }
  return {.interfaces = {"front"}};
}

void print(const std::vector<Seen>& all, const std::array<std::uint64_t, phases>& wall_ns) {
  const auto ms = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e6; };
  std::printf(
      "| | seconds | largest stall of a worker, ms | 99.9 %% of checks, ms | longest check, ms |\n"
      "|---|---:|---:|---:|---:|\n");
  for (std::size_t phase = 0; phase < phases; ++phase) {
    std::vector<std::uint64_t> late;
    std::uint64_t check = 0;
    for (const Seen& seen : all) {
      late.insert(late.end(), seen.late_ns[phase].begin(), seen.late_ns[phase].end());
      check = std::max(check, seen.check_max_ns[phase]);
    }
    std::ranges::sort(late);
    const std::uint64_t most = late.empty() ? 0 : late[(late.size() - 1) * 999 / 1000];
    std::printf("| %s | %.2f | %.2f | %.2f | %.2f |\n", titles[phase], ms(wall_ns[phase]) / 1000,
                ms(late.empty() ? 0 : late.back()), ms(most), ms(check));
  }
}

int run(unsigned prefixes, unsigned addresses) {
  spdlog::set_level(spdlog::level::warn);
  const std::string first = block_file(prefixes, addresses, 1);
  const std::string second = block_file(prefixes, addresses, 2);
  const XdpConfig xdp = attach_to_own_veth();
  Admission admission;
  auto guard = Guard::start(admission, xdp, input_of(""));
  if (!guard) return std::fprintf(stderr, "%s\n", guard.error().what.c_str()), 1;
  Workers workers(admission);
  std::array<std::uint64_t, phases> wall_ns{quiet_ns, 0, 0, freeing_ns};
  const auto rest = [](std::uint64_t ns) {
    poll(nullptr, 0, static_cast<int>(ns / millisecond_ns));
  };
  rest(quiet_ns);
  workers.enter(load);
  wall_ns[load] = reload(**guard, first);
  workers.enter(swap);
  wall_ns[swap] = reload(**guard, second);
  workers.enter(freeing);
  rest(freeing_ns);
  const auto seen = workers.stop();
  std::printf("%u prefixes and %u addresses, %zu workers%s.\n\n", prefixes, addresses, seen.size(),
              xdp.interfaces.empty() ? "" : ", XDP attached");
  print(seen, wall_ns);
  return 0;
}

}  // namespace
}  // namespace sni::bench

int main(int argc, char** argv) {
  const auto number = [&](int index, unsigned otherwise) {
    if (argc <= index) return otherwise;
    constexpr std::uint64_t most = sni::limits::block_file_entries_max;
    return static_cast<unsigned>(sni::parse_decimal(argv[index], most).value_or(otherwise));
  };
  return sni::bench::run(number(1, 100'000), number(2, 1'000'000));
}
