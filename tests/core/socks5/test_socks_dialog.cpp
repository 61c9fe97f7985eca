#include "core/socks5/socks_dialog.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace sni;

namespace {

using Bytes = std::vector<std::uint8_t>;
using State = SocksDialog::State;

const SocksLogin nobody;
const SocksLogin alice{.username = "alice", .password = "secret"};
const SocksTarget by_name{.name = "a.example", .ip = {}, .port = 443};
const Bytes name_request{5, 1, 0, 3, 9, 'a', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', 1, 0xbb};
const Bytes granted{5, 0, 0, 1, 10, 0, 0, 1, 0x1f, 0x90};

// Takes all outgoing bytes, `piece` at a time.
Bytes send_all(SocksDialog& dialog, std::size_t piece = 1000) {
  Bytes sent;
  while (dialog.state() == State::send) {
    const auto out = dialog.outgoing();
    REQUIRE_FALSE(out.empty());
    const auto part = out.first(std::min(piece, out.size()));
    sent.insert(sent.end(), part.begin(), part.end());
    dialog.sent(part.size());
  }
  return sent;
}

// Gives the dialog as much of `bytes` as it accepts, `piece` at a time; returns the rest.
Bytes give(SocksDialog& dialog, Bytes bytes, std::size_t piece = 1000) {
  while (dialog.state() == State::receive && !bytes.empty()) {
    const auto room = dialog.incoming();
    REQUIRE_FALSE(room.empty());
    const std::size_t count = std::min({room.size(), bytes.size(), piece});
    std::copy_n(bytes.begin(), count, room.begin());
    dialog.received(count);
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return bytes;
}

SocksError failure(const Bytes& choice, const Bytes& more = {}, const SocksLogin& login = nobody) {
  SocksDialog dialog(by_name, login);
  send_all(dialog);
  give(dialog, choice);
  send_all(dialog);
  give(dialog, more);
  CHECK(dialog.state() == State::failed);
  return dialog.error();
}

}  // namespace

TEST_CASE("a name is left to the server to resolve") {
  SocksDialog dialog(by_name, nobody);
  CHECK(send_all(dialog) == Bytes{5, 1, 0});
  CHECK(give(dialog, {5, 0}).empty());
  CHECK(send_all(dialog) == name_request);
  CHECK(give(dialog, granted).empty());
  CHECK(dialog.state() == State::connected);
  CHECK(dialog.error() == SocksError::none);
}

TEST_CASE("addresses are sent with their own type") {
  const auto request = [](std::string_view ip) {
    SocksDialog dialog({.name = {}, .ip = parse_ip(ip).value(), .port = 0x1234}, nobody);
    send_all(dialog);
    give(dialog, {5, 0});
    return send_all(dialog);
  };
  CHECK(request("192.0.2.7") == Bytes{5, 1, 0, 1, 192, 0, 2, 7, 0x12, 0x34});
  const Bytes ipv6{5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8, 0, 0,    0,
                   0, 0, 0, 0, 0,    0,    0,    0,    7, 0x12, 0x34};
  CHECK(request("2001:db8::7") == ipv6);
}

TEST_CASE("a login is offered where there is one, and used where the server wants it") {
  SocksDialog dialog(by_name, alice);
  CHECK(send_all(dialog) == Bytes{5, 2, 0, 2});
  give(dialog, {5, 2});
  CHECK(send_all(dialog) == Bytes{1, 5, 'a', 'l', 'i', 'c', 'e', 6, 's', 'e', 'c', 'r', 'e', 't'});
  give(dialog, {1, 0});
  CHECK(send_all(dialog) == name_request);
  SocksDialog without(by_name, alice);
  send_all(without);
  give(without, {5, 0});
  CHECK(send_all(without) == name_request);
}

TEST_CASE("bytes behind the reply are the backend's and not taken, whatever the kind of address") {
  const Bytes behind{0x16, 3, 3};
  Bytes name_reply{5, 0, 0, 3, 4, 'a', 'b', 'c', 'd', 0, 1};
  Bytes empty_name_reply{5, 0, 0, 3, 0, 0, 1};
  Bytes ipv6_reply{5, 0, 0, 4};
  ipv6_reply.resize(22);
  for (Bytes reply : {granted, name_reply, empty_name_reply, ipv6_reply}) {
    for (const std::size_t piece : {1ul, 2ul, 3ul, 1000ul}) {
      CAPTURE(reply.size());
      CAPTURE(piece);
      SocksDialog dialog(by_name, alice);
      send_all(dialog, piece);
      give(dialog, {5, 2}, piece);
      send_all(dialog, piece);
      give(dialog, {1, 0}, piece);
      send_all(dialog, piece);
      Bytes bytes = reply;
      bytes.insert(bytes.end(), behind.begin(), behind.end());
      CHECK(give(dialog, bytes, piece) == behind);
      CHECK(dialog.state() == State::connected);
    }
  }
}

TEST_CASE("the longest name, user and password fit") {
  const std::string longest(255, 'x');
  const SocksLogin login{.username = longest, .password = longest};
  SocksDialog dialog({.name = longest, .ip = {}, .port = 1}, login);
  send_all(dialog);
  give(dialog, {5, 2});
  CHECK(send_all(dialog).size() == 513);
  give(dialog, {1, 0});
  CHECK(send_all(dialog).size() == 262);
  Bytes reply{5, 0, 0, 3, 255};
  reply.resize(262);
  give(dialog, reply);
  CHECK(dialog.state() == State::connected);
}

TEST_CASE("each refusal has its name") {
  CHECK(failure({5, 0xff}) == SocksError::no_method);
  CHECK(failure({5, 2}, {1, 1}, alice) == SocksError::login_refused);
  const SocksError replies[] = {
      SocksError::general,          SocksError::not_allowed,        SocksError::network_unreachable,
      SocksError::host_unreachable, SocksError::connection_refused, SocksError::ttl_expired,
      SocksError::no_command,       SocksError::no_address_type,    SocksError::unknown_reply};
  static_assert(std::size(replies) < 256);
  for (std::uint8_t reply = 1; reply <= std::uint8_t{std::size(replies)}; ++reply) {
    CHECK(failure({5, 0}, {5, reply}) == replies[reply - 1]);
    CHECK(failure({5, 0}, {5, reply, 0, 1, 0, 0, 0, 0, 0, 0}) == replies[reply - 1]);
  }
  CHECK(failure({5, 0}, {5, 255}) == SocksError::unknown_reply);
}

TEST_CASE("bytes that are not SOCKS5 are recognised at the first difference") {
  CHECK(failure({'H'}) == SocksError::protocol);
  CHECK(failure({4, 0}) == SocksError::protocol);
  CHECK_MESSAGE(failure({5, 2}) == SocksError::protocol, "a login that was not offered");
  CHECK(failure({5, 1}) == SocksError::protocol);
  CHECK(failure({5, 2}, {5, 0}, alice) == SocksError::protocol);
  CHECK(failure({5, 0}, {4}) == SocksError::protocol);
  CHECK(failure({5, 0}, {5, 0, 0, 2, 0}) == SocksError::protocol);
}
