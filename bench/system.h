#pragma once

// The kernel's figures of the machine: CPU time, memory, and what a reader must know to compare
// reports of two machines.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

namespace sni::bench {

// CPU time of the whole system that was not idle, in seconds, from /proc/stat: user, system, hard
// and soft interrupts of all processes, as elapsed time less idle, iowait and steal. Idle time is
// measured by clock if the tick stops when idle; the others are sampled by the tick.
double busy_seconds();

// CPU time of one process, all its threads, in seconds.
double process_seconds(pid_t pid);

// Bytes of memory that belong to the process and its children: the sum of Pss (smaps_rollup).
std::uint64_t process_memory(pid_t pid);

// Memory available without swapping, in bytes (MemAvailable).
std::uint64_t available_memory();

// Descriptors that this process may open.
std::uint64_t descriptor_limit();

// Kernel release, CPU, memory and the sysctls that matter, by name. The sysctls are those of the
// network namespace that the thread is in.
std::map<std::string, std::string> describe_machine();

// Elapsed time and CPU time between two moments.
struct Usage {
  double elapsed_s = 0;
  double busy_s = 0;   // Of the whole system.
  double proxy_s = 0;  // Of the proxy alone; 0 without one.
  double own_s = 0;    // Of proxy, backend and load generator; see Meter.
};

class Meter {
 public:
  Meter(pid_t proxy, pid_t backend) : proxy_(proxy), backend_(backend) {}
  void start();
  Usage stop() const;

 private:
  // Own time is exact and independent of everything else on the machine. It includes softirq work
  // on top of our processes, but not that of ksoftirqd and kworkers: a cross-check of busy_s on a
  // shared machine.
  double own_seconds() const;

  pid_t proxy_;
  pid_t backend_;
  std::uint64_t start_ns_ = 0;
  double busy_s_ = 0;
  double proxy_s_ = 0;
  double own_s_ = 0;
};

}  // namespace sni::bench
