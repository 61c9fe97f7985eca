#pragma once

// Tells when an RCU grace period is over: every CPU has left what it was doing at a certain time.
// The caller does not wait; a thread of its own waits for all callers.

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

  // A ticket for now; passed(ticket) is true once a grace period that began later is over.
  std::uint64_t ask();
  bool passed(std::uint64_t ticket) const;

 private:
  struct Service;
  std::unique_ptr<Service> service_;
};

}  // namespace sni
