#include "bpf/packet/tcp_repair.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "tests/support/skip.h"
#include "tests/support/tcp_pair.h"

using namespace sni;
using namespace sni::test;

namespace {

// Bytes that the end may still send.
std::uint32_t promised(int fd) {
  const auto position = read_tcp_position(fd);
  REQUIRE_MESSAGE(position, position.error().what);
  return position->promised_edge - position->read_seq;
}

// The backend with a small window, and the client's connection, whose whole window is used once.
struct Matched {
  std::pair<UniqueFd, UniqueFd> client = connected();
  std::pair<UniqueFd, UniqueFd> backend = connected(16'384);
  int client_side = client.second.get();
  int backend_side = backend.second.get();

  void stream(std::size_t size) const {
    const std::string piece(4096, 'x');
    for (std::size_t sent = 0; sent < size; sent += piece.size()) {
      send_all(client.first.get(), piece);
      REQUIRE(receive(client_side, piece.size()) == piece);
    }
  }
  // As in the packet plane: the kernel may undo a match early in a connection.
  bool match() const {
    for (int tries = 0; tries < 8; ++tries) {
      match_windows(client_side, backend_side);
      stream(256 << 10);
      if (promised(client_side) <= room_of_backend()) return true;
    }
    return false;
  }
  std::uint32_t room_of_backend() const {
    const auto position = read_tcp_position(backend_side);
    REQUIRE(position);
    return position->peer_window;
  }
};

}  // namespace

TEST_CASE(
    "a socket comes to promise no more than the other end has room for, until it is set free") {
  if (geteuid() != 0) return skip("needs root");
  const Matched pair;
  pair.stream(1 << 20);
  REQUIRE(promised(pair.client_side) > pair.room_of_backend());
  CHECK(pair.match());
  free_windows(pair.client_side, pair.backend_side);
  pair.stream(4 << 20);
  CHECK(promised(pair.client_side) > 2 * pair.room_of_backend());
}

TEST_CASE("a socket that promises less still scales its window, and its buffer grows by itself") {
  const auto usual = connected();
  const auto listener = Listener::open();
  promise_less(listener.fd.get());
  auto connecting = tcp_socket();
  promise_less(connecting.get());
  connect_to(connecting.get(), listener.port);
  const UniqueFd accepted = listener.accept();
  for (const int fd : {connecting.get(), accepted.get()}) {
    CHECK(receive_room(fd) == receive_room(usual.first.get()) * 7 / 8);
    CHECK(read_tcp_facts(fd)->receive_scale == read_tcp_facts(usual.first.get())->receive_scale);
    const UniqueFd& other = fd == connecting.get() ? accepted : connecting;
    const std::string piece(1 << 16, 'x');
    for (int i = 0; i < 128; ++i) {
      send_all(other.get(), piece);
      REQUIRE(receive(fd, piece.size()) == piece);
    }
    CHECK(receive_room(fd) > receive_room(usual.first.get()));
  }
}

TEST_CASE("a receive buffer that was set by hand stays") {
  const auto socket = tcp_socket();
  set_option(socket.get(), SOL_SOCKET, SO_RCVBUF, 50'000);
  promise_less(socket.get());
  CHECK(receive_room(socket.get()) == 100'000);
}
