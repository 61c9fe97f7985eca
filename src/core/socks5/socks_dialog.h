#pragma once

// Theory of operation: the dialog with a SOCKS5 server before it relays (RFC 1928), with a name and
// a password if it asks for them (RFC 1929), as a pure state machine:
//
//   methods -> choice -> [login -> verdict] -> request -> reply -> connected
//
// The caller sends outgoing() and receives into incoming(), which never has room for more bytes
// than belong to the dialog. Bytes after the reply are the backend's and stay in the socket. Bytes
// and turns of a dialog are bounded, whatever the server says.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/address/address.h"
#include "core/socks5/socks_login.h"

namespace sni {

// Where the server is to connect to.
struct SocksTarget {
  std::string_view name;  // 1 to 255 bytes, for the server to resolve; empty: `ip` holds.
  IpAddress ip;
  std::uint16_t port = 0;
};

enum class SocksError : std::uint8_t {
  none,
  protocol,       // The server does not speak SOCKS5.
  no_method,      // It accepts none of the offered methods.
  login_refused,  // It rejects name and password.
  // Its reply to the request, in the order of RFC 1928, section 6.
  general,
  not_allowed,
  network_unreachable,
  host_unreachable,
  connection_refused,
  ttl_expired,
  no_command,
  no_address_type,
  unknown_reply,
};

class SocksDialog {
 public:
  enum class State : std::uint8_t { send, receive, connected, failed };

  // `login` must outlive the dialog; `target` is read only here.
  SocksDialog(const SocksTarget& target, const SocksLogin& login);

  State state() const { return state_; }
  SocksError error() const { return error_; }
  // The server has the whole request: only its reply about the target is missing.
  bool asked() const { return step_ == Step::request && state_ == State::receive; }

  // The bytes left to send.
  std::span<const std::uint8_t> outgoing() const {
    return std::span(out_).first(out_size_).subspan(out_sent_);
  }
  // Reports that `count` bytes of outgoing() were sent.
  void sent(std::size_t count);

  // Where to receive the next bytes. Never empty.
  std::span<std::uint8_t> incoming() { return std::span(in_).first(in_wanted_).subspan(in_size_); }
  // Reports that `count` bytes (at least one) were written there.
  void received(std::size_t count);

 private:
  enum class Step : std::uint8_t { methods, login, request };

  static constexpr std::size_t request_bytes_max = 4 + 1 + 255 + 2;
  static constexpr std::size_t login_bytes_max = 1 + 2 * (1 + socks_login_bytes_max);
  static constexpr std::size_t reply_bytes_max = 4 + 1 + 255 + 2;

  void say(std::span<const std::uint8_t> bytes);
  void say_text(std::string_view text);
  void begin(Step step, std::size_t answer_bytes);
  void fail(SocksError error);
  void say_methods();
  void say_login();
  void say_request();
  void on_choice();
  void on_verdict();
  void on_reply();

  const SocksLogin& login_;
  State state_ = State::send;
  Step step_ = Step::methods;
  SocksError error_ = SocksError::none;
  std::size_t out_size_ = 0;
  std::size_t out_sent_ = 0;
  std::size_t in_size_ = 0;
  std::size_t in_wanted_ = 0;
  std::size_t request_size_ = 0;
  std::array<std::uint8_t, request_bytes_max> request_{};
  std::array<std::uint8_t, login_bytes_max> out_{};
  std::array<std::uint8_t, reply_bytes_max> in_{};
  static_assert(login_bytes_max >= request_bytes_max);
};

}  // namespace sni
