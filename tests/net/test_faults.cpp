// Workers under faults at random rates (support/fault_world.h). fuzz/fuzz_faults.cpp searches for
// other rates and clients.
//
// A seed determines each run: SNI_FAULT_SEED=n begins there, SNI_FAULT_RUNS=n makes so many runs.

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "support/fault_world.h"

using namespace sni::test;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What clients do: 4 at once with 6 turns each, of sizes below and above a socket's buffers.
std::vector<std::vector<Turn>> visits(std::uint64_t seed, bool resets) {
  constexpr std::array<std::size_t, 5> sizes{0, 100, 20'000, 400'000, 3'000'000};
  std::vector<std::vector<Turn>> clients(4);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    std::mt19937_64 random(seed * 100 + i);
    for (int turn = 0; turn < 6; ++turn) {
      const std::size_t size = sizes[random() % sizes.size()];
      const std::size_t kind = random() % 1000;
      const bool by_reset = resets && random() % 4 == 0;
      clients[i].push_back({size, kind, by_reset ? Leaves::by_reset : Leaves::after_fin});
    }
  }
  return clients;
}
constexpr unsigned all_turns = 4 * 6;

// One run. Afterwards nothing is left of it, whatever was injected.
FaultOutcome run(const FaultPlan& plan, bool resets = false) {
  const auto workers = static_cast<unsigned>(1 + plan.seed % 2);
  const FaultOutcome outcome =
      run_with_faults({.plan = plan, .workers = workers, .clients = visits(plan.seed, resets)});
  CHECK(outcome.torn == 0);
  CHECK(outcome.hung == 0);
  CHECK(outcome.empty);
  CHECK(outcome.drained);
  CHECK_FALSE(outcome.failed);
  CHECK(outcome.left_open == "");
  return outcome;
}

FaultPlan delays(std::uint64_t seed) {
  FaultPlan plan{.seed = seed};
  for (const Fault fault : {Fault::receive_again, Fault::receive_short, Fault::send_again,
                            Fault::send_short, Fault::poll, Fault::accept, Fault::pipe,
                            Fault::splice_again, Fault::splice_short, Fault::submit}) {
    plan.rate(fault) = 50;
  }
  return plan;
}

// Calls `each` with the seeds of this run of the test.
void with_seeds(std::uint64_t runs, const std::function<void(std::uint64_t seed)>& each) {
  const std::uint64_t first = number_from("SNI_FAULT_SEED", 1);
  const std::uint64_t last = first + number_from("SNI_FAULT_RUNS", runs);
  for (std::uint64_t seed = first; seed < last; ++seed) {
    CAPTURE(seed);
    each(seed);
  }
}

}  // namespace

TEST_CASE("calls that have to be tried again, and short ones, cost no byte") {
  with_seeds(4, [](std::uint64_t seed) { CHECK(run(delays(seed)).whole == all_turns); });
}

TEST_CASE("completions that overflow their queue cost no byte") {
  with_seeds(2, [](std::uint64_t seed) {
    FaultPlan plan{.ring_entries = 2, .seed = seed};
    plan.rate(Fault::submit) = 50;
    CHECK(run(plan).whole == all_turns);
  });
}

TEST_CASE("without pipes everything is relayed by buffers") {
  FaultPlan plan{.seed = 1};
  plan.rate(Fault::pipe) = 1000;
  CHECK(run(plan).whole == all_turns);
  CHECK(Faults::injected(Fault::pipe) > 0);
}

TEST_CASE("calls that kill connections, amid resets, tear no stream and leave nothing behind") {
  with_seeds(3, [](std::uint64_t seed) {
    FaultPlan plan = delays(seed);
    for (const Fault fault : {Fault::receive_dies, Fault::send_dies, Fault::connect, Fault::socket,
                              Fault::splice_dies}) {
      plan.rate(fault) = 20;
    }
    if (seed % 3 == 0) plan.ring_entries = 4;
    run(plan, true);
  });
}
