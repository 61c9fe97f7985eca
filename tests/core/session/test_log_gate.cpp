#include "core/session/log_gate.h"

#include <doctest/doctest.h>

#include <random>

using namespace sni;

TEST_CASE("a second admits as many lines as it may, the next as many again") {
  LogGate gate(2);
  CHECK(gate.admit(5'000));
  CHECK(gate.admit(5'999));
  CHECK_FALSE(gate.admit(5'999));
  CHECK(gate.admit(6'000));
  CHECK(gate.admit(6'000));
  CHECK_FALSE(gate.admit(6'000));
}

TEST_CASE("suppressed lines are reported after their second, and once") {
  LogGate gate(1);
  for (int i = 0; i < 4; ++i) gate.admit(1'000);
  CHECK(gate.take_suppressed(1'999) == 0);
  CHECK(gate.take_suppressed(2'000) == 3);
  CHECK(gate.take_suppressed(2'000) == 0);
  CHECK(gate.take_suppressed(9'000) == 0);
}

TEST_CASE("a flood that never pauses is still reported") {
  LogGate gate(1);
  gate.admit(1'000);
  gate.admit(1'000);
  gate.admit(2'000);
  gate.admit(2'000);
  CHECK(gate.take_suppressed(2'000) == 1);
  gate.admit(3'000);
  CHECK(gate.take_suppressed(3'000) == 1);
}

TEST_CASE("a gate of no lines admits none and counts all") {
  LogGate gate(0);
  CHECK_FALSE(gate.admit(0));
  CHECK_FALSE(gate.admit(1'000));
  CHECK(gate.take_suppressed(60'000) == 2);
}

TEST_CASE("every line is either admitted or reported") {
  std::mt19937 random(1);
  LogGate gate(3);
  std::uint64_t now_ms = 0;
  std::uint64_t asked = 0;
  std::uint64_t answered = 0;
  for (; asked < 10'000; ++asked) {
    now_ms += random() % 300;
    answered += gate.admit(now_ms) ? 1 : 0;
    if (random() % 4 == 0) answered += gate.take_suppressed(now_ms);
  }
  CHECK(answered + gate.take_suppressed(now_ms + 1'000) == asked);
}
