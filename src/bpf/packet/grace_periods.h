#pragma once

// Tells when every CPU has left what it was doing at a certain time. The caller does not wait; a
// thread of its own waits for all callers.
//
// The programs, and the stack below the sockets, run with softirqs off, where a CPU does not switch
// tasks. So that thread runs on each CPU in turn, which takes less than a millisecond. Where that
// cannot be (many or isolated CPUs, a cpuset, PREEMPT_RT) it waits for a grace period of RCU by
// membarrier(2), which takes 10 to 30 ms.

#include <cstdint>
#include <memory>

namespace sni {

// Thread-safe.
class GracePeriods {
 public:
  GracePeriods();
  ~GracePeriods();
  GracePeriods(const GracePeriods&) = delete;
  GracePeriods& operator=(const GracePeriods&) = delete;

  // A ticket for now; passed(ticket) is true once every CPU has left what it does now.
  std::uint64_t ask();
  bool passed(std::uint64_t ticket) const;

 private:
  struct Service;
  std::unique_ptr<Service> service_;
};

}  // namespace sni
