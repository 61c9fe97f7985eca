// The input is one byte that chooses login and target, and then the bytes of a SOCKS5 server, of
// which the dialog takes as many as it wants. A second dialog gets the same bytes one by one, and
// must reach the same result after the same bytes.

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/socks5/socks_dialog.h"
#include "fuzz/property.h"

using namespace sni;
using namespace sni::test;

namespace {

using State = SocksDialog::State;

constexpr std::size_t bytes_max = 2 + 2 + 262;  // Choice, verdict and the longest reply.
constexpr int turns_max = 3;

struct Outcome {
  State state;
  SocksError error;
  std::size_t taken;
  bool operator==(const Outcome&) const = default;
};

Outcome talk(std::uint8_t choice, std::span<const std::uint8_t> server, std::size_t piece) {
  const SocksLogin login{.username = (choice & 1) != 0 ? "user" : "", .password = "password"};
  const SocksTarget target{.name = (choice & 2) != 0 ? "a.example" : "",
                           .ip = (choice & 4) != 0 ? IpAddress::v4(192, 0, 2, 7) : IpAddress{},
                           .port = 443};
  SocksDialog dialog(target, login);
  std::size_t taken = 0;
  int turns = 0;
  for (;;) {
    if (dialog.state() == State::send) {
      require(++turns <= turns_max, "a dialog has at most three turns");
      while (dialog.state() == State::send) {
        require(!dialog.outgoing().empty(), "who is to send has something");
        dialog.sent(std::min(piece, dialog.outgoing().size()));
      }
      continue;
    }
    if (dialog.state() != State::receive || taken == server.size()) break;
    const auto room = dialog.incoming();
    require(!room.empty(), "who is to receive has room");
    const std::size_t count = std::min({room.size(), server.size() - taken, piece});
    std::ranges::copy(server.subspan(taken, count), room.begin());
    taken += count;
    require(taken <= bytes_max, "a dialog takes a bounded number of bytes");
    dialog.received(count);
  }
  return {.state = dialog.state(), .error = dialog.error(), .taken = taken};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span server(data + 1, size - 1);
  const Outcome at_once = talk(data[0], server, 1000);
  const Outcome bytewise = talk(data[0], server, 1);
  require(at_once.state == bytewise.state && at_once.error == bytewise.error,
          "a dialog ends alike however it arrives");
  require((at_once.error != SocksError::none) == (at_once.state == State::failed),
          "who fails says why");
  if (at_once.state == State::connected) {
    require(at_once.taken == bytewise.taken, "what follows the reply is the backend's");
  }
  return 0;
}
