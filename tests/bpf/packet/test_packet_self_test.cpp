#include "bpf/packet/packet_self_test.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>

#include "tests/support/skip.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("the live self-test of the packet plane passes here and leaves nothing behind") {
  if (geteuid() != 0) return skip("needs root");
  auto plane = PacketSplice::load({.flows = 64, .pin_directory = {}});
  REQUIRE_MESSAGE(plane, plane.error().what);
  const auto start = std::chrono::steady_clock::now();
  const auto test = run_packet_self_test(**plane);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  CHECK(took.count() < 5);  // 0.2 s, but for sanitizers and other tests beside it.
  CHECK_MESSAGE(test.passed(), test.reason());
  CHECK(test.cases.size() == 4);
  std::vector<PacketEntry> entries;
  PacketSplice::Cursor cursor;
  CHECK((*plane)->scan(cursor, 64, entries));
  CHECK(entries.empty());
}

TEST_CASE("a self-test says what is wrong, and that it could not run") {
  PacketSelfTest test{.not_run = "no rights", .cases = {}};
  CHECK(!test.passed());
  CHECK(describe(test).front() == "packet plane: no, the self-test could not run: no rights");
  test = {.not_run = {}, .cases = {{"one", ""}, {"two", "broke"}}};
  CHECK(!test.passed());
  CHECK(test.reason() == "self-test, two: broke");
  const std::vector<std::string> lines{"packet plane: no, self-test, two: broke", "  one: works",
                                       "  two: broke"};
  CHECK(describe(test) == lines);
  test.cases.pop_back();
  CHECK(describe(test).front() == "packet plane: yes");
}
