#pragma once

// Faults under workers: errors that their system calls and ring requests get from a kernel short of
// resources, or from a peer at the worst moment.
//
// The linker provides the seam (--wrap in tests/CMakeLists.txt), so the product has no code for it.
// A request that must fail goes to the kernel as a no-op, and its completion gets the fault as its
// result; one that must be short asks for less. It affects only threads that set up a ring while a
// Faults lives; every thread has its own random numbers.

#include <array>
#include <cstdint>

namespace sni::test {

enum class Fault : std::uint8_t {
  // Nothing is lost: the caller must try again, or continue with the rest.
  receive_again,
  receive_short,
  send_again,
  send_short,
  poll,
  accept,
  pipe,  // pipe2: no descriptors.
  splice_again,
  splice_short,
  submit,
  // The connection fails.
  receive_dies,
  send_dies,
  connect,
  socket,  // No descriptors.
  splice_dies,
};
inline constexpr std::size_t fault_kinds = static_cast<std::size_t>(Fault::splice_dies) + 1;

struct FaultPlan {
  std::array<unsigned, fault_kinds> per_mille{};  // Of the calls that each could affect.
  unsigned ring_entries = 0;  // Of both queues, so that completions overflow; 0: as requested.
  std::uint64_t seed = 0;

  unsigned& rate(Fault fault) { return per_mille[static_cast<std::size_t>(fault)]; }
};

class Faults {
 public:
  explicit Faults(const FaultPlan& plan);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  // How often it has happened, on any thread.
  static std::uint64_t injected(Fault fault);
};

}  // namespace sni::test
