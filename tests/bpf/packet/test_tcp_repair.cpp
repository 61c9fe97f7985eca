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
