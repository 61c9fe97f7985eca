#pragma once

// The load generator. One thread, epoll, in the process of the bench itself; every client sends a
// real ClientHello and a Command (wire.h) first. A step opens its connections, runs for a warm-up
// and a window, waits for bytes in flight and checks that every byte arrived.

#include <netinet/in.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/stats.h"
#include "bench/system.h"
#include "bench/wire.h"
#include "core/error.h"
#include "core/unique_fd.h"

namespace sni::bench {

// Where clients connect to. Connection i uses the name, address and source with number i modulo
// their count.
struct Target {
  std::vector<sockaddr_in> addresses;
  std::vector<std::vector<std::byte>> hellos;
  std::vector<in_addr> sources;
  Ledger* ledger = nullptr;
  // Their CPU time and memory are read; negative: there is none.
  pid_t proxy = -1;
  pid_t backend = -1;
};

struct Timing {
  double warmup_s = 0.1;
  double window_s = 0.5;
};

// The result of a step. A step with a wrong byte or a lost connection has faults.
struct Outcome {
  std::map<std::string, double> values;            // By metric; see columns.cpp.
  std::vector<std::pair<double, double>> latency;  // Share (0..1) and microseconds.
  std::vector<std::string> faults;

  static Outcome failed(std::string why) { return {.values = {}, .latency = {}, .faults = {why}}; }
};

// A connected non-blocking socket, hello and command sent.
Result<UniqueFd> open_session(const Target& target, std::uint32_t number, const Command& command);
// A socket of connection `number`, bound to its source, that has begun to connect.
Result<UniqueFd> start_connect(const Target& target, std::uint32_t number);
// Hello and command of connection `number` as one piece.
std::vector<std::byte> first_bytes(const Target& target, std::uint32_t number,
                                   const Command& command);

// New connections: hello, answer, close; `concurrency` of them under way at any time.
Outcome load_connections(const Target& target, const Timing& timing, std::uint32_t concurrency);

// Ping-pong: each connection sends a message when the answer to the last one has arrived.
Outcome load_ping_pong(const Target& target, const Timing& timing, std::uint32_t connections,
                       std::uint32_t message_bytes);

// Open loop: messages are sent by a schedule regardless of earlier ones, and latency counts from
// the scheduled time, so that a stall counts for every message it delays.
Outcome load_schedule(const Target& target, const Timing& timing, std::uint32_t connections,
                      std::uint32_t message_bytes, std::uint32_t messages_per_second);

struct BulkLoad {
  std::uint32_t connections = 1;
  bool down = false;                   // Backend to client.
  bool up = false;                     // Client to backend.
  std::uint64_t bytes_per_second = 0;  // Pace of `down`; 0: as fast as it goes.
};
Outcome load_bulk(const Target& target, const Timing& timing, const BulkLoad& load);

// Memory of the proxy per relayed connection that is silent.
Outcome load_idle(const Target& target, std::uint32_t connections);

// Bytes that the host holds for a client that stops reading while its backend sends at full speed.
Outcome load_stalled(const Target& target, double seconds_max, std::uint64_t bytes_max);

// The shares that the latency curves are drawn from.
std::vector<std::pair<double, double>> latency_curve(const Histogram& histogram);
// p50, p99 and p99.9 in microseconds, and the curve.
void add_latency(Outcome& outcome, const Histogram& histogram);
// CPU time of the window.
void add_usage(Outcome& outcome, const Usage& usage);

}  // namespace sni::bench
