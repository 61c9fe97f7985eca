#include "core/socks5/socks_dialog.h"

#include <algorithm>
#include <cassert>

namespace sni {
namespace {

constexpr std::uint8_t version = 5;
constexpr std::uint8_t login_version = 1;
constexpr std::uint8_t method_none = 0;
constexpr std::uint8_t method_login = 2;
constexpr std::uint8_t command_connect = 1;
constexpr std::uint8_t address_type_ipv4 = 1;
constexpr std::uint8_t address_type_name = 3;
constexpr std::uint8_t address_type_ipv6 = 4;

// The head of a reply: version, reply, reserved, type, and the first byte of the address, which is
// the length of a name.
constexpr std::size_t reply_head_bytes = 5;
constexpr std::size_t port_bytes = 2;

SocksError error_of(std::uint8_t reply) {
  constexpr std::uint8_t known = 8;
  if (reply == 0 || reply > known) return SocksError::unknown_reply;
  return static_cast<SocksError>(static_cast<std::uint8_t>(SocksError::general) + reply - 1);
}
static_assert(static_cast<int>(SocksError::no_address_type) -
                  static_cast<int>(SocksError::general) ==
              7);

}  // namespace

SocksDialog::SocksDialog(const SocksTarget& target, const SocksLogin& login) : login_(login) {
  std::size_t& at = request_size_;
  for (const std::uint8_t byte : {version, command_connect, std::uint8_t{0}}) {
    request_[at++] = byte;
  }
  if (!target.name.empty()) {
    assert(target.name.size() <= 255);
    request_[at++] = address_type_name;
    request_[at++] = static_cast<std::uint8_t>(target.name.size());
    std::ranges::copy(target.name, request_.begin() + static_cast<std::ptrdiff_t>(at));
    at += target.name.size();
  } else {
    const std::size_t skipped = target.ip.is_v4() ? 12 : 0;  // The v4-mapped prefix.
    request_[at++] = target.ip.is_v4() ? address_type_ipv4 : address_type_ipv6;
    const auto address = std::span(target.ip.bytes).subspan(skipped);
    std::ranges::copy(address, request_.begin() + static_cast<std::ptrdiff_t>(at));
    at += address.size();
  }
  request_[at++] = static_cast<std::uint8_t>(target.port >> 8);
  request_[at++] = static_cast<std::uint8_t>(target.port);
  say_methods();
}

void SocksDialog::begin(Step step, std::size_t answer_bytes) {
  state_ = State::send;
  step_ = step;
  out_size_ = out_sent_ = in_size_ = 0;
  in_wanted_ = answer_bytes;
}

void SocksDialog::say(std::span<const std::uint8_t> bytes) {
  std::ranges::copy(bytes, out_.begin() + static_cast<std::ptrdiff_t>(out_size_));
  out_size_ += bytes.size();
}

// Preceded by its length.
void SocksDialog::say_text(std::string_view text) {
  assert(text.size() <= socks_login_bytes_max);
  out_[out_size_++] = static_cast<std::uint8_t>(text.size());
  say({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

void SocksDialog::fail(SocksError error) {
  state_ = State::failed;
  error_ = error;
}

void SocksDialog::say_methods() {
  begin(Step::methods, 2);
  if (login_.username.empty()) {
    say(std::array{version, std::uint8_t{1}, method_none});
  } else {
    say(std::array{version, std::uint8_t{2}, method_none, method_login});
  }
}

void SocksDialog::say_login() {
  begin(Step::login, 2);
  out_[out_size_++] = login_version;
  say_text(login_.username);
  say_text(login_.password);
}

void SocksDialog::say_request() {
  begin(Step::request, reply_head_bytes);
  say(std::span(request_).first(request_size_));
}

void SocksDialog::sent(std::size_t count) {
  assert(state_ == State::send && count <= outgoing().size());
  out_sent_ += count;
  if (out_sent_ == out_size_) state_ = State::receive;
}

void SocksDialog::received(std::size_t count) {
  assert(state_ == State::receive && count > 0 && count <= incoming().size());
  in_size_ += count;
  switch (step_) {
    case Step::methods:
      return on_choice();
    case Step::login:
      return on_verdict();
    case Step::request:
      return on_reply();
  }
}

void SocksDialog::on_choice() {
  if (in_[0] != version) return fail(SocksError::protocol);
  if (in_size_ < in_wanted_) return;
  const std::uint8_t method = in_[1];
  if (method == method_none) return say_request();
  if (method == method_login && !login_.username.empty()) return say_login();
  fail(method == 0xff ? SocksError::no_method : SocksError::protocol);
}

void SocksDialog::on_verdict() {
  if (in_[0] != login_version) return fail(SocksError::protocol);
  if (in_size_ < in_wanted_) return;
  if (in_[1] != 0) return fail(SocksError::login_refused);
  say_request();
}

void SocksDialog::on_reply() {
  if (in_[0] != version) return fail(SocksError::protocol);
  // A server that refuses may send no more than that.
  if (in_size_ > 1 && in_[1] != 0) return fail(error_of(in_[1]));
  if (in_size_ < reply_head_bytes) return;
  if (in_size_ == reply_head_bytes) {
    switch (in_[3]) {
      case address_type_ipv4:
        in_wanted_ = 4 + 4 + port_bytes;
        return;
      case address_type_ipv6:
        in_wanted_ = 4 + 16 + port_bytes;
        return;
      case address_type_name:
        in_wanted_ = reply_head_bytes + in_[4] + port_bytes;
        return;
      default:
        return fail(SocksError::protocol);
    }
  }
  if (in_size_ == in_wanted_) state_ = State::connected;
}

}  // namespace sni
