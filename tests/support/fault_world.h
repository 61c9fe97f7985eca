#pragma once

// What runs under faults (support/faults.h): workers between healthy clients and a healthy backend
// that echoes. A fault that only delays must lose no byte. A fatal fault may end the connection that
// it hits, but no other. In all cases nothing is left over.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "support/faults.h"

namespace sni::test {

enum class Leaves : std::uint8_t { after_fin, by_reset };

// One connection of a client: it sends a hello and further bytes, reads the echo at the same time,
// and leaves.
struct Turn {
  std::size_t size = 0;  // Of the further bytes, and a number that chooses them.
  std::size_t kind = 0;
  Leaves leaves = Leaves::after_fin;  // A reset comes after half of the bytes.
};

struct FaultRun {
  FaultPlan plan;
  unsigned workers = 1;
  std::vector<std::vector<Turn>> clients;  // All at once, each with one turn after the other.
};

struct FaultOutcome {
  unsigned whole = 0;  // Turns in which everything came back, and then a FIN.
  unsigned torn = 0;   // Turns with wrong or reordered bytes.
  unsigned hung = 0;
  bool empty = false;     // Then the gauges of the proxy return to zero,
  bool drained = false;   // its workers end when they are told to,
  bool failed = false;    // unless one could not go on.
  std::string left_open;  // Descriptors that are other than before, and what they refer to.
};

FaultOutcome run_with_faults(const FaultRun& wanted);

}  // namespace sni::test
