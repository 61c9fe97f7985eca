#include "net/server/descriptor_budget.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "core/limits.h"

using namespace sni;

namespace {

// Descriptors of the process in userspace mode with a control socket.
constexpr std::uint64_t process = 16;

// The most descriptors that may be open at once.
std::uint64_t used(const DescriptorNeeds& needs, const DescriptorBudget& budget) {
  return needs.process +
         needs.workers * (3 + needs.listeners + 2 * needs.name_servers + budget.races +
                          2 * budget.splices + (needs.packet_plane ? 1 : 0)) +
         2 * std::uint64_t{budget.connections};
}

}  // namespace

TEST_CASE("what is promised fits, whatever the limit, the workers and the listeners are") {
  for (const std::uint64_t limit : {32U, 64U, 80U, 128U, 256U, 1024U, 4096U, 20'000U, 1'048'576U}) {
    for (const std::uint32_t workers : {1U, 2U, 16U, 64U}) {
      for (const std::uint32_t listeners : {1U, 2U, 64U}) {
        for (const std::uint32_t name_servers : {0U, 1U, 8U}) {
          for (const bool packet_plane : {false, true}) {
            const DescriptorNeeds needs{.limit = limit,
                                        .process = process,
                                        .workers = workers,
                                        .listeners = listeners,
                                        .name_servers = name_servers,
                                        .packet_plane = packet_plane};
            const DescriptorBudget budget = share_descriptors(needs);
            CHECK(budget.connections >= 1);
            CHECK(budget.splices <= limits::splices_max);
            if (budget.connections > 1) CHECK(used(needs, budget) <= limit);
          }
        }
      }
    }
  }
}

TEST_CASE("few descriptors go to connections before they go to pipes") {
  const DescriptorBudget budget =
      share_descriptors({.limit = 32, .process = process, .workers = 1, .listeners = 1});
  CHECK(budget.connections == 3);  // 32 - 16 - 4, of which 6 are for three pipes.
  CHECK(budget.splices == 3);
}

TEST_CASE("with many descriptors every worker has all of its pipes, and connections the rest") {
  const DescriptorBudget budget =
      share_descriptors({.limit = 20'000, .process = process, .workers = 2, .listeners = 1});
  CHECK(budget.splices == limits::splices_max);
  CHECK(budget.races == (20'000 - process - 2 * 4) / 32 / 2);
  CHECK(budget.connections ==
        (20'000 - process - 2 * (4 + budget.races + 2 * limits::splices_max)) / 2);
}

TEST_CASE("a limit that does not even carry the process promises one connection") {
  CHECK(share_descriptors({.limit = 8, .process = process}).connections == 1);
}

TEST_CASE("what the start needs grows with the workers and the listeners of each") {
  CHECK(descriptors_to_start({.limit = 1024, .workers = 1, .listeners = 1}) == 20);
  CHECK(descriptors_to_start({.limit = 1024, .workers = 64, .listeners = 2}) == 16 + 64 * 5);
}

TEST_CASE("who looks at the proxy keeps few descriptors where there are few") {
  CHECK(control_clients(24) == 1);
  CHECK(scrape_clients(24) == 1);
  CHECK(control_clients(64) == 2);
  CHECK(control_clients(1024) == limits::control_clients_max);
  CHECK(scrape_clients(1024) == limits::scrape_clients_max);
}

TEST_CASE("a limit without room for a client is an error with the figures") {
  const std::uint64_t open = open_descriptors();
  CHECK(check_room_for_one(open + 3));
  const auto full = check_room_for_one(open + 2);
  REQUIRE_FALSE(full);
  CHECK(full.error().what == std::to_string(open) +
                                 " files are open before the first connection, and the limit is " +
                                 std::to_string(open + 2) + " (ulimit -n, LimitNOFILE=)");
}
