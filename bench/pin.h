#pragma once

// The CPUs of client and backend. Under the scheduler's choice the two ends of a wire share a CPU
// in one round and not in the next, and a figure has two values that differ by half or by ten
// times. So the load generator is pinned to one CPU, the backends to another and the proxy to a
// third, like three machines. With two CPUs the proxy shares the generator's in one round and the
// backends' in the next: either place favours one direction, and the scheduler would mix both.

#include <sched.h>

#include "core/unique_fd.h"

namespace sni::bench {

inline constexpr int client_cpu = 0;  // Of the CPUs that we may use, not of the machine's.
inline constexpr int backend_cpu = 1;
int proxy_cpu(int round);

// Keeps this thread, and the children that it makes, on one CPU until the end of the scope. With
// fewer than two CPUs, does nothing.
class Pinned {
 public:
  explicit Pinned(int index);
  ~Pinned();
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
};

// Keeps every CPU from sleeping until the end of the scope (PM QoS, which needs root; else
// nothing). With one connection every CPU is idle between two messages, and waking one takes 30 us
// in a virtual machine. That hides the 3 us by which relays differ, and does not happen on a busy
// host.
class Awake {
 public:
  explicit Awake(bool wanted);
  bool held() const { return static_cast<bool>(fd_); }

 private:
  UniqueFd fd_;  // The request lasts as long as it is open.
};

}  // namespace sni::bench
