#include "core/packet/handover_rules.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace sni;

namespace {

TcpTerms good_terms() {
  return {.established = true,
          .timestamps = true,
          .sack = true,
          .window_scaling = true,
          .ecn = false,
          .advertised_mss = 1460,
          .sending_mss = 1448};
}

// Everything is read, written and acknowledged; numbers wrap within the window.
TcpPosition quiet(std::uint32_t write, std::uint32_t read) {
  return {.write_seq = write,
          .acked_seq = write,
          .received_seq = read,
          .read_seq = read,
          .peer_window = 64'000,
          .promised_edge = read + 64'000};
}

}  // namespace

TEST_CASE("terms must be the same on both sides") {
  const TcpTerms good = good_terms();
  CHECK(compare_terms(good, good) == PairFit::fits);
  const auto differs = [&](auto change, PairFit expected) {
    TcpTerms other = good;
    change(other);
    CHECK(compare_terms(good, other) == expected);
    CHECK(compare_terms(other, good) == expected);
  };
  differs([](TcpTerms& terms) { terms.established = false; }, PairFit::closing);
  differs([](TcpTerms& terms) { terms.timestamps = false; }, PairFit::options);
  differs([](TcpTerms& terms) { terms.microseconds = true; }, PairFit::options);
  differs([](TcpTerms& terms) { terms.sack = false; }, PairFit::options);
  differs([](TcpTerms& terms) { terms.window_scaling = false; }, PairFit::options);
  differs([](TcpTerms& terms) { terms.ecn = true; }, PairFit::ecn);
  differs([](TcpTerms& terms) { terms.sending_mss = 1447; }, PairFit::mss);
}

TEST_CASE("an end sends segments no larger than those that it takes") {
  TcpTerms narrow = good_terms();
  narrow.sending_mss = 1388;
  const TcpTerms wide = good_terms();
  CHECK(compare_terms(narrow, wide) == PairFit::mss);
  TcpTerms told = wide;  // The wide end was told the narrow one's size.
  told.advertised_mss = 1400;
  CHECK(compare_terms(narrow, told) == PairFit::fits);
  CHECK(compare_terms(told, narrow) == PairFit::fits);
  told.advertised_mss = 1401;
  CHECK(compare_terms(narrow, told) == PairFit::mss);
}

TEST_CASE("timestamps in microseconds are not continued, even if both sides have them") {
  TcpTerms terms = good_terms();
  terms.microseconds = true;
  CHECK(compare_terms(terms, terms) == PairFit::options);
}

TEST_CASE("a client is far from 10 ms on, unless its backend is as far") {
  using namespace std::chrono_literals;
  CHECK(!is_far(9'999us, 100us));
  CHECK(is_far(10ms, 100us));
  CHECK(is_far(120ms, 100ms));
  CHECK(!is_far(100ms, 100ms));
  CHECK(!is_far(1ms, 100ms));
}

TEST_CASE("what is on the way takes a round trip, and more for each window that is not sent yet") {
  using namespace std::chrono_literals;
  TcpFlight flight{.congestion_window = 10'000, .window = 40'000};
  CHECK(time_to_drain(flight, 100ms) == 0us);
  flight.waits = true;
  CHECK(time_to_drain(flight, 100ms) == 100ms);
  flight.unsent = 25'000;
  CHECK(time_to_drain(flight, 100ms) == 350ms);
  flight.window = 5'000;
  CHECK(time_to_drain(flight, 100ms) == 600ms);
  flight.window = 0;
  CHECK(time_to_drain(flight, 100ms) == std::chrono::microseconds::max());
  flight = {.waits = true, .unsent = UINT32_MAX, .congestion_window = 1, .window = 1};
  CHECK(time_to_drain(flight, 1s) > 1h);
}

TEST_CASE("no byte beyond the other end's window must have been offered") {
  const TcpPosition client = quiet(0xfffffff0, 100);
  TcpPosition backend = quiet(7, 0xffffff00);
  CHECK(compare_positions(client, backend) == PairFit::fits);
  backend.peer_window -= 1;
  CHECK(compare_positions(client, backend) == PairFit::promise);
  CHECK(compare_positions(backend, client) == PairFit::promise);
}

TEST_CASE("bytes that an end has not acknowledged keep both connections apart") {
  const TcpPosition client = quiet(1, 2);
  TcpPosition backend = quiet(3, 4);
  backend.acked_seq -= 1;
  CHECK(compare_positions(client, backend) == PairFit::busy);
  CHECK(compare_positions(backend, client) == PairFit::busy);
}

TEST_CASE("the deltas of one direction are those of the other read backwards") {
  const TcpPosition client = quiet(0xfffffff0, 100);
  const TcpPosition backend = quiet(7, 0xffffff00);
  const Deltas up = deltas(client, backend);
  const Deltas down = deltas(backend, client);
  CHECK(client.read_seq + up.seq == backend.write_seq);
  CHECK(client.write_seq + up.ack == backend.read_seq);
  CHECK(up.seq + down.ack == 0);
  CHECK(up.ack + down.seq == 0);
  CHECK(send_edge(client, backend) == client.promised_edge);
}
