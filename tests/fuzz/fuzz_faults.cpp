// The input chooses which calls of the workers fail and how often, and what clients do meanwhile
// (support/fault_world.h). Threads run as they like, so an input can take another path again.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz/property.h"
#include "support/fault_world.h"

using namespace sni::test;

namespace {

constexpr std::size_t clients_at_once = 2;
constexpr std::size_t turns = 2;

// Takes bytes from the front; after the last come zeros.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  unsigned byte() {
    if (bytes_.empty()) return 0;
    const unsigned first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  unsigned pair() {
    const unsigned high = byte();
    return high << 8 | byte();
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

// Half of the values are no fault, so that runs with a single one are common; above 60 per mille
// attempts become slow rather than different.
unsigned rate_from(unsigned byte) {
  return byte < 128 ? 0 : (byte - 128) % 61;
}

FaultRun run_from(Input input) {
  constexpr std::array<unsigned, 4> ring_sizes{0, 2, 4, 16};
  FaultRun run;
  const unsigned shape = input.byte();
  run.workers = 1 + shape % 2;
  run.plan.ring_entries = ring_sizes[shape / 2 % ring_sizes.size()];
  run.plan.seed = input.pair();
  for (unsigned& rate : run.plan.per_mille) rate = rate_from(input.byte());
  run.clients.resize(clients_at_once);
  for (auto& client : run.clients) {
    for (std::size_t i = 0; i < turns; ++i) {
      const std::size_t size = input.pair() * std::size_t{6};  // Up to 400 kB.
      const unsigned kind = input.byte();
      client.push_back({size, kind, kind % 4 == 1 ? Leaves::by_reset : Leaves::after_fin});
    }
  }
  return run;
}

// No fault of this run ends a connection.
bool only_delays(const FaultRun& run) {
  for (auto kind = static_cast<std::size_t>(Fault::receive_dies); kind < fault_kinds; ++kind) {
    if (run.plan.per_mille[kind] != 0) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const FaultRun run = run_from(Input(std::span(data, size)));
  unsigned complete = 0;
  for (const auto& client : run.clients) {
    for (const Turn& turn : client) complete += turn.leaves == Leaves::after_fin ? 1 : 0;
  }
  const FaultOutcome outcome = run_with_faults(run);
  require(outcome.torn == 0, "no stream is torn");
  require(outcome.hung == 0, "no client hangs");
  require(!only_delays(run) || outcome.whole == complete, "a fault that only delays costs no byte");
  require(outcome.empty, "nothing is held after the last client");
  require(!outcome.failed, "no worker gives up");
  require(outcome.drained, "workers end when they are told to");
  require(outcome.left_open.empty(), "no descriptor is left open");
  return 0;
}
