#include "bench/columns.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace sni::bench {
namespace {

constexpr std::uint32_t small_message = 64;    // Bytes.
constexpr std::uint32_t large_message = 4096;  // Bytes.
constexpr std::uint32_t connecting = 32;       // New connections under way at a time.
// A fixed load that fell short of this share of its rate was not carried.
constexpr double reached = 0.97;

Timing longer(Timing timing, double windows) {
  timing.window_s *= windows;
  return timing;
}

// CPU time of the window beyond that of the idle machine, per unit of `amount`, unless the machine
// is too busy with other work.
void add_cost(Outcome& outcome, const Conditions& conditions, const char* name, double amount) {
  if (conditions.idle_busy > idle_busy_max) return;
  const double idle = conditions.idle_busy * outcome.values.at("elapsed_s");
  outcome.values[name] = (outcome.values.at("busy_s") - idle) / amount;
}

// The proxy's CPU time for each of `what`.
void add_proxy_cost(Outcome& outcome, const Target& target, const char* what) {
  const auto count = outcome.values.find(what);
  if (target.proxy <= 0 || count == outcome.values.end() || count->second <= 0) return;
  outcome.values["proxy_us"] = outcome.values.at("proxy_cpu_s") / count->second * 1'000'000;
}

Outcome run_connections(const Target& target, const Conditions& conditions) {
  Outcome outcome = load_connections(target, conditions.timing, connecting);
  add_proxy_cost(outcome, target, "connections");
  return outcome;
}

template <std::uint32_t connections, std::uint32_t bytes>
Outcome run_ping_pong(const Target& target, const Conditions& conditions) {
  Outcome outcome = load_ping_pong(target, conditions.timing, connections, bytes);
  add_proxy_cost(outcome, target, "messages");
  return outcome;
}

template <std::uint32_t connections, bool down, bool up>
Outcome run_bulk(const Target& target, const Conditions& conditions) {
  return load_bulk(target, conditions.timing,
                   {.connections = connections, .down = down, .up = up, .bytes_per_second = 0});
}

constexpr double fixed_windows = 2;  // CPU time is counted in ticks, which needs a longer window.

Outcome run_fixed_bulk(const Target& target, const Conditions& conditions) {
  constexpr auto rate = static_cast<std::uint64_t>(fixed_gbit_s * 1e9 / 8);
  Outcome outcome =
      load_bulk(target, longer(conditions.timing, fixed_windows),
                {.connections = 1, .down = true, .up = false, .bytes_per_second = rate});
  if (outcome.values.contains("gbit_s") && outcome.values["gbit_s"] >= reached * fixed_gbit_s) {
    add_cost(outcome, conditions, "cpu_s_per_gb", outcome.values["gigabytes"]);
  }
  return outcome;
}

Outcome run_fixed_messages(const Target& target, const Conditions& conditions) {
  Outcome outcome = load_schedule(target, longer(conditions.timing, fixed_windows), 64,
                                  small_message, fixed_messages_per_second);
  if (outcome.values.contains("rate") &&
      outcome.values["rate"] >= reached * fixed_messages_per_second) {
    add_cost(outcome, conditions, "cpu_s_per_100k", outcome.values["messages"] / 100'000);
  } else {
    outcome.latency.clear();
    for (const char* value : {"p50_us", "p99_us", "p999_us"}) outcome.values.erase(value);
  }
  return outcome;
}

Outcome run_idle(const Target& target, const Conditions& conditions) {
  return load_idle(target, conditions.idle_connections);
}

Outcome run_stalled(const Target& target, const Conditions& conditions) {
  return load_stalled(target, conditions.stall_s, conditions.stall_bytes_max);
}

constexpr std::array all_columns = {
    Column{.id = "connections", .title = "new connections", .run = run_connections},
    Column{.id = "pingpong-1",
           .title = "64-byte ping-pong, 1 connection, CPUs kept awake",
           .run = run_ping_pong<1, small_message>,
           .awake = true},
    Column{.id = "pingpong-64",
           .title = "64-byte ping-pong, 64 connections",
           .run = run_ping_pong<64, small_message>},
    Column{.id = "messages-16",
           .title = "4 KiB ping-pong, 16 connections",
           .run = run_ping_pong<16, large_message>},
    Column{.id = "down-1", .title = "bulk down, 1 connection", .run = run_bulk<1, true, false>},
    Column{.id = "up-1", .title = "bulk up, 1 connection", .run = run_bulk<1, false, true>},
    Column{.id = "both-1", .title = "bulk both ways, 1 connection", .run = run_bulk<1, true, true>},
    Column{.id = "down-16", .title = "bulk down, 16 connections", .run = run_bulk<16, true, false>},
    Column{.id = "up-16", .title = "bulk up, 16 connections", .run = run_bulk<16, false, true>},
    Column{.id = "both-16",
           .title = "bulk both ways, 16 connections",
           .run = run_bulk<16, true, true>},
    Column{.id = "fixed-bulk",
           .title = "5 Gbit/s down, 1 connection",
           .run = run_fixed_bulk,
           .windows = fixed_windows},
    Column{.id = "fixed-messages",
           .title = "20,000 messages/s by schedule, 64 connections",
           .run = run_fixed_messages,
           .windows = fixed_windows},
    Column{.id = "idle-memory",
           .title = "memory of idle connections",
           .run = run_idle,
           .windows = 0,
           .extra_s = 2,
           .needs_proxy = true,
           .once = true},
    Column{.id = "stalled-memory",
           .title = "memory held for a stalled reader",
           .run = run_stalled,
           .windows = 0,
           .extra_s = 1,
           .once = true},
};

constexpr std::array all_metrics = {
    Metric{"connections", "rate", "new conn/s", "/s"},
    Metric{"connections", "p50_us", "new connection p50", "us", false},
    Metric{"pingpong-1", "rate", "64 B x1", "/s"},
    Metric{"pingpong-64", "rate", "64 B x64", "/s"},
    Metric{"messages-16", "rate", "4 KiB x16", "/s"},
    Metric{"connections", "proxy_us", "proxy CPU/conn", "us", false},
    Metric{"pingpong-64", "proxy_us", "proxy CPU/msg", "us", false},
    Metric{"messages-16", "proxy_us", "proxy CPU/4 KiB", "us", false},
    Metric{"pingpong-1", "p50_us", "64 B x1 p50", "us", false},
    Metric{"pingpong-1", "p99_us", "64 B x1 p99", "us", false},
    Metric{"pingpong-1", "p999_us", "64 B x1 p99.9", "us", false},
    Metric{"pingpong-64", "p50_us", "64 B x64 p50", "us", false},
    Metric{"pingpong-64", "p99_us", "64 B x64 p99", "us", false},
    Metric{"pingpong-64", "p999_us", "64 B x64 p99.9", "us", false},
    Metric{"fixed-messages", "p50_us", "20k/s p50", "us", false},
    Metric{"fixed-messages", "p99_us", "20k/s p99", "us", false},
    Metric{"fixed-messages", "p999_us", "20k/s p99.9", "us", false},
    Metric{"down-1", "gbit_s", "x1 down", "Gbit/s"},
    Metric{"up-1", "gbit_s", "x1 up", "Gbit/s"},
    Metric{"both-1", "gbit_s", "x1 both", "Gbit/s"},
    Metric{"down-16", "gbit_s", "x16 down", "Gbit/s"},
    Metric{"up-16", "gbit_s", "x16 up", "Gbit/s"},
    Metric{"both-16", "gbit_s", "x16 both", "Gbit/s"},
    Metric{"fixed-bulk", "cpu_s_per_gb", "CPU s/GB", "s", false},
    Metric{"fixed-messages", "cpu_s_per_100k", "CPU s/100k msg", "s", false},
    Metric{"idle-memory", "bytes", "idle connection", "B", false},
    Metric{"stalled-memory", "bytes", "stalled reader", "B", false},
};

}  // namespace

std::span<const Column> columns() {
  return all_columns;
}
std::span<const Metric> metrics() {
  return all_metrics;
}

const Metric& metric_of(std::string_view key) {
  const auto found =
      std::ranges::find_if(all_metrics, [&](const Metric& metric) { return metric.key() == key; });
  assert(found != all_metrics.end());
  return *found;
}

}  // namespace sni::bench
