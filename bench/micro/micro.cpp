// sni-micro: the cost of one operation of the hot paths, in nanoseconds and heap allocations:
// reading a ClientHello, looking up a route, a limit, dispatching a completion, an access line. Each
// line is the median of several runs of about 50 ms; the allocations are exact.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "bench/clock.h"
#include "bench/hello.h"
#include "bench/stats.h"
#include "core/hello/first_flight.h"
#include "core/limits.h"
#include "core/route/route_table.h"
#include "core/session/access_line.h"
#include "net/loop/ring.h"
#include "support/count_allocations.h"

namespace sni::bench {
namespace {

constexpr std::uint64_t run_ns = 50 * millisecond_ns;
constexpr std::size_t runs = 9;

// Keeps the compiler from removing the computation of `value`.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

// `operation` does `batch` operations per call.
template <typename Operation>
void measure(const std::string& name, std::size_t batch, Operation&& operation) {
  operation();  // Warms caches, and makes one-time allocations.
  std::array<double, runs> costs{};
  std::size_t operations = 0;
  const std::size_t allocations_before = allocations;
  for (double& cost : costs) {
    const std::uint64_t begin = now_ns();
    std::uint64_t now = begin;
    std::size_t done = 0;
    for (; now < begin + run_ns; now = now_ns()) {
      for (int i = 0; i < 64; ++i) operation();
      done += 64 * batch;
    }
    cost = static_cast<double>(now - begin) / static_cast<double>(done);
    operations += done;
  }
  const auto allocated = static_cast<double>(allocations - allocations_before);
  std::printf("%-52s %9.1f ns  ±%2.0f %%  %6.3f allocations\n", name.c_str(), median(costs),
              spread(costs) * 100, allocated / static_cast<double>(operations));
}

// Bytes of one hello cut into TLS records of `record` bytes.
std::vector<std::uint8_t> wire(std::size_t record) {
  const std::vector<std::byte> hello = client_hello("www.bench.example");
  std::vector<std::uint8_t> out;
  for (std::size_t at = tls_record_header; at < hello.size(); at += record) {
    const std::size_t length = std::min(record, hello.size() - at);
    for (const std::size_t byte : {22uz, 3uz, 1uz, length >> 8, length & 0xff}) {
      out.push_back(static_cast<std::uint8_t>(byte));
    }
    for (std::size_t i = 0; i < length; ++i) {
      out.push_back(std::to_integer<std::uint8_t>(hello[at + i]));
    }
  }
  return out;
}

void measure_hello() {
  std::vector<std::uint8_t> scratch(limits::hello_bytes_max + limits::handshake_header);
  for (const std::size_t record : {16'384uz, 200uz}) {
    const auto bytes = wire(record);
    const char* how = record > bytes.size() ? "one record" : "records of 200 bytes";
    measure("ClientHello of " + std::to_string(bytes.size()) + " bytes, " + how, 1, [&] {
      FlightScanner scanner(Protocol::tls);
      const auto needed = scanner.scan(bytes);
      const auto flight = scanner.parse(bytes, scratch);
      keep(needed);
      keep(flight);
    });
  }
  const auto bytes = wire(16'384);
  measure("the same, arriving byte by byte", 1, [&] {
    FlightScanner scanner(Protocol::tls);
    std::size_t needed = 1;
    for (std::size_t there = 1; there <= bytes.size(); ++there) {
      if (there < needed) continue;
      const auto more = scanner.scan(std::span(bytes).first(there));
      needed = more.value_or(0);
      if (needed == 0) break;
    }
    const auto flight = scanner.parse(bytes, scratch);
    keep(flight);
  });
}

void measure_routes() {
  for (const std::uint32_t count : {10u, 100'000u}) {
    Config config;
    config.listeners.push_back({.name = "https", .address = {}});
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string name = "host" + std::to_string(i) + ".example";
      config.routes.push_back(
          {.names = {name, "*." + name}, .backends = {}, .listeners = {"https"}, .alpn = {}});
    }
    BackendTable backends;
    const RouteTable table(config, backends);
    const std::string size = " among " + std::to_string(count) + " routes";
    const std::string last = "host" + std::to_string(count - 1) + ".example";
    for (const auto& [what, name] :
         {std::pair<const char*, std::string>{"exact name", last},
          std::pair<const char*, std::string>{"wildcard, four labels", "a.b." + last},
          std::pair<const char*, std::string>{"no such name", "a.b.elsewhere.example"}}) {
      measure(what + size, 1, [&] { keep(table.find(0, name, {})); });
    }
  }
}

// The cost of a limit shared by all workers per connection: its count goes up and down once.
void measure_limits() {
  alignas(64) std::atomic<std::uint32_t> count{0};
  const auto operation = [&] {
    count.fetch_add(1, std::memory_order_relaxed);
    count.fetch_sub(1, std::memory_order_relaxed);
  };
  measure("a place under a limit, taken and given back", 1, operation);
  const std::jthread other([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) operation();
  });
  measure("the same, while another CPU does nothing else", 1, operation);
}

// A turn of the loop with 64 completions: submitted, reaped and told apart by their tags.
void measure_dispatch() {
  constexpr std::uint32_t batch = 64;
  auto ring = Ring::create(256);
  if (!ring) {
    std::printf("dispatch: not measured: %s\n", ring.error().what.c_str());
    return;
  }
  std::array<std::uint64_t, 8> counts{};
  measure("completion, submitted to dispatched, 64 per turn", batch, [&] {
    for (std::uint32_t slot = 0; slot < batch; ++slot) {
      io_uring_sqe* entry = io_uring_get_sqe(ring->native());
      io_uring_prep_nop(entry);
      io_uring_sqe_set_data64(entry, pack({.op = static_cast<Op>(slot % 8), .slot = slot}));
    }
    keep(ring->turn(0));
    ring->for_each_completion([&](const Completion& completion) {
      counts[static_cast<std::size_t>(completion.tag.op)] += completion.tag.slot;
    });
  });
  keep(counts);
}

void measure_access_line() {
  const auto client = parse_endpoint("198.18.0.2:43210");
  const AccessRecord record{.client = *client,
                            .listener = "https",
                            .server_name = "www.bench.example",
                            .alpn = "h2",
                            .tls_version = 0x0304,
                            .ech = true,
                            .route = "www.bench.example",
                            .backend = "198.18.1.2:8443",
                            .attempts = 1,
                            .connect_ms = 1,
                            .client_bytes = 1'789,
                            .server_bytes = 123'456,
                            .duration_ms = 12,
                            .plane = "userspace",
                            .end = "done"};
  for (const auto& [name, format] : {std::pair{"access line, text", LogFormat::text},
                                     std::pair{"access line, JSON", LogFormat::json}}) {
    measure(name, 1, [&] { keep(access_line(record, format)); });
  }
}

}  // namespace
}  // namespace sni::bench

int main() {
  sni::bench::measure_hello();
  sni::bench::measure_routes();
  sni::bench::measure_limits();
  sni::bench::measure_dispatch();
  sni::bench::measure_access_line();
  return 0;
}
