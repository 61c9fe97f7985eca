#include "core/route/endpoint_board.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

using namespace sni;

namespace {

constexpr std::uint64_t start_ms = 1'000'000;
constexpr bool configured = true;
constexpr bool by_client = false;
constexpr std::uint64_t tick_ms = 10;

Endpoint endpoint(std::uint32_t number) {
  const auto byte = [number](int shift) { return static_cast<std::uint8_t>(number >> shift); };
  return {.ip = IpAddress::v4(10, byte(16), byte(8), byte(0)), .port = 443};
}

struct Board : EndpointBoard {
  Board() : EndpointBoard({1, 2}) {}

  bool add(std::uint32_t number, std::uint64_t begun_ms, std::uint64_t now_ms,
           bool is_configured = configured) {
    return EndpointBoard::add(id_of(endpoint(number)), is_configured, begun_ms, now_ms);
  }
  bool answered(std::uint32_t number, std::uint64_t now_ms) {
    return EndpointBoard::answered(id_of(endpoint(number)), now_ms);
  }
  bool puts_off(std::uint32_t number, std::uint64_t now_ms) {
    return EndpointBoard::puts_off(id_of(endpoint(number)), now_ms);
  }
};

}  // namespace

TEST_CASE("an endpoint is put off from its failure until it answers, and both are news once") {
  Board board;
  CHECK_FALSE(board.answered(1, start_ms));
  CHECK_FALSE(board.puts_off(1, start_ms));
  CHECK(board.add(1, start_ms, start_ms));
  CHECK_FALSE(board.add(1, start_ms, start_ms));
  CHECK(board.puts_off(1, start_ms));
  CHECK(board.is_out(board.id_of(endpoint(1))));
  CHECK_FALSE(board.puts_off(2, start_ms));
  CHECK_FALSE(board.is_out(board.id_of(endpoint(2))));
  CHECK(board.answered(1, start_ms));
  CHECK_FALSE(board.is_out(board.id_of(endpoint(1))));
  CHECK_FALSE(board.answered(1, start_ms));
  CHECK_FALSE(board.puts_off(1, start_ms));
}

TEST_CASE("UNIX sockets, ports and scopes are distinguished") {
  Board board;
  const auto same_address = [](std::uint16_t port, std::uint32_t scope) {
    return Endpoint{.ip = *parse_ip("fe80::1"), .port = port, .scope = scope};
  };
  const auto silent = board.id_of(same_address(443, 2));
  board.EndpointBoard::add(silent, configured, start_ms, start_ms);
  board.EndpointBoard::add(board.id_of("/run/app.sock"), configured, start_ms, start_ms);
  CHECK(board.EndpointBoard::puts_off(silent, start_ms));
  CHECK_FALSE(board.EndpointBoard::puts_off(board.id_of(same_address(443, 3)), start_ms));
  CHECK_FALSE(board.EndpointBoard::puts_off(board.id_of(same_address(444, 2)), start_ms));
  CHECK(board.EndpointBoard::puts_off(board.id_of("/run/app.sock"), start_ms));
  CHECK_FALSE(board.EndpointBoard::puts_off(board.id_of("/run/other.sock"), start_ms));
}

TEST_CASE("when the time is over one caller tries it again, after twice the time at each try") {
  Board board;
  board.add(1, start_ms, start_ms);
  std::uint64_t due_ms = start_ms + limits::out_ms;
  std::uint64_t out_ms = limits::out_ms;
  for (int period = 1; period <= 20; ++period) {
    CHECK(board.puts_off(1, due_ms - tick_ms));
    CHECK_FALSE(board.puts_off(1, due_ms));
    CHECK(board.puts_off(1, due_ms));
    // The try has failed.
    CHECK_FALSE(board.add(1, due_ms, due_ms + 100));
    out_ms = std::min(2 * out_ms, limits::out_ms_max);
    due_ms += out_ms;
  }
  CHECK(out_ms == limits::out_ms_max);
}

TEST_CASE("an endpoint that has answered begins with the shortest time again") {
  Board board;
  board.add(1, start_ms, start_ms);
  CHECK_FALSE(board.puts_off(1, start_ms + limits::out_ms));
  board.answered(1, start_ms + limits::out_ms + 10);
  const std::uint64_t again_ms = start_ms + 2 * limits::out_ms;
  CHECK(board.add(1, again_ms, again_ms));
  CHECK(board.puts_off(1, again_ms + limits::out_ms - tick_ms));
  CHECK_FALSE(board.puts_off(1, again_ms + limits::out_ms));
}

TEST_CASE("connects that fail while it is out already do not keep it out for longer") {
  Board board;
  board.add(1, start_ms, start_ms);
  for (std::uint64_t ms = 0; ms < limits::out_ms; ms += 100) {
    CHECK_FALSE(board.add(1, start_ms + ms, start_ms + ms));
  }
  CHECK_FALSE(board.puts_off(1, start_ms + limits::out_ms));
}

TEST_CASE("a connect that began before the last answer says nothing, a later one does") {
  Board board;
  board.add(1, start_ms, start_ms + 100);
  board.answered(1, start_ms + 200);
  CHECK_FALSE(board.add(1, start_ms + 150, start_ms + 250));
  CHECK_FALSE(board.puts_off(1, start_ms + 250));
  CHECK(board.add(1, start_ms + 210, start_ms + 310));
  CHECK(board.puts_off(1, start_ms + 310));
}

TEST_CASE("clients can fill the board and push out nothing that is configured") {
  const auto board = std::make_unique<Board>();
  constexpr std::uint32_t ours = 64;
  for (std::uint32_t i = 0; i < ours; ++i) board->add(i, start_ms, start_ms);
  // Each later than the previous one, so that age alone would favour them.
  for (std::uint32_t i = ours; i < 4 * limits::board_endpoints; ++i) {
    board->add(i, start_ms + i / 100, start_ms + i / 100, by_client);
  }
  for (std::uint32_t i = 0; i < ours; ++i) CHECK(board->puts_off(i, start_ms + 1000));
}

TEST_CASE("configured endpoints replace those named by clients") {
  const auto board = std::make_unique<Board>();
  for (std::uint32_t i = 0; i < 4 * limits::board_endpoints; ++i) {
    board->add(i, start_ms, start_ms, by_client);
  }
  constexpr std::uint32_t late = 4 * limits::board_endpoints;
  CHECK(board->add(late, start_ms, start_ms));
  CHECK(board->puts_off(late, start_ms));
}

TEST_CASE("a new endpoint named by a client replaces an older one") {
  const auto board = std::make_unique<Board>();
  constexpr std::uint32_t many = 4 * limits::board_endpoints;
  for (std::uint32_t i = 0; i < many; ++i) board->add(i, start_ms, start_ms, by_client);
  CHECK(board->add(many, start_ms + 50, start_ms + 50, by_client));
  CHECK(board->puts_off(many, start_ms + 50));
}

TEST_CASE("an endpoint named by a client and the configuration is kept as configured") {
  const auto board = std::make_unique<Board>();
  board->add(1, start_ms, start_ms, by_client);
  board->add(1, start_ms, start_ms, configured);
  board->add(1, start_ms, start_ms, by_client);
  for (std::uint32_t i = 2; i < 4 * limits::board_endpoints; ++i) {
    board->add(i, start_ms + 500, start_ms + 500, by_client);
  }
  CHECK(board->puts_off(1, start_ms + 500));
}

TEST_CASE("of many workers that ask at once when the time is over, one tries the endpoint again") {
  Board board;
  board.add(1, start_ms, start_ms);
  constexpr int periods = 2000;
  std::atomic<int> tried{0};
  std::vector<std::jthread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&] {
      for (int period = 1; period <= periods; ++period) {
        if (!board.puts_off(1, start_ms + period * limits::out_ms_max)) ++tried;
      }
    });
  }
  workers.clear();
  // Late workers find the endpoint put off until later.
  CHECK(tried >= 1);
  CHECK(tried <= periods);
}

TEST_CASE("workers that add, answer and look at once leave every endpoint known or forgotten") {
  const auto board = std::make_unique<Board>();
  std::vector<std::jthread> workers;
  for (std::uint32_t worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&board, worker] {
      for (std::uint32_t i = 0; i < 20'000; ++i) {
        const std::uint32_t number = i * 7 % 5000;
        board->add(number, start_ms, start_ms, (i + worker) % 2 == 0);
        board->puts_off(number, start_ms);
        board->answered(number, start_ms + 100);
      }
    });
  }
  workers.clear();
  for (std::uint32_t number = 0; number < 5000; ++number) {
    CHECK_FALSE(board->puts_off(number, start_ms + 200));
  }
}

TEST_CASE("an endpoint held by a health check stays out until it is released") {
  Board board;
  const auto id = board.id_of(endpoint(1));
  CHECK_FALSE(board.is_held(id));
  CHECK(board.hold(id));
  CHECK(board.hold(id));
  CHECK(board.is_held(id));
  CHECK(board.is_out(id));
  for (std::uint64_t later = 0; later < 10; ++later) {
    CHECK(board.puts_off(1, start_ms + later * 3'600'000));  // No connection is made to try it.
  }
  CHECK_FALSE(board.answered(1, start_ms));
  CHECK_FALSE(board.add(1, start_ms, start_ms));
  CHECK(board.is_held(id));
  board.release(id);
  CHECK_FALSE(board.is_held(id));
  CHECK_FALSE(board.is_out(id));
  CHECK_FALSE(board.puts_off(1, start_ms));
}

TEST_CASE("a hold replaces the state found by clients, and is never evicted") {
  Board board;
  REQUIRE(board.add(1, start_ms, start_ms, by_client));
  const auto id = board.id_of(endpoint(1));
  REQUIRE(board.hold(id));
  for (std::uint32_t other = 2; other < 3 * limits::board_endpoints; ++other) {
    board.add(other, start_ms, start_ms);
  }
  CHECK(board.is_held(id));
}
