#pragma once

// Says when every CPU has left what it was doing at a certain time (an RCU grace period), without
// making the asking thread wait: a thread of its own waits for all that have asked.

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
