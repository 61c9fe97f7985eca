#pragma once

// The one line that each connection leaves in the log at its end, as text or as a JSON object, with
// the same keys in the same order. Names and protocols come from the network. Both formats escape
// control characters, quotes and non-ASCII bytes, so that a client can neither start a line of its
// own nor control the terminal that shows it.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/address/address.h"
#include "core/config/config.h"

namespace sni {

struct AccessRecord {
  Endpoint client;
  Endpoint proxy;  // The proxy that announced the client; left out if its port is 0.
  std::string_view listener;
  // Empty: the client sent no name, or none that could be parsed. A name that is not a host name is
  // logged as sent, cut to logged_name_max.
  std::string_view server_name;
  std::string_view alpn;          // The first protocol offered.
  std::uint16_t tls_version = 0;  // The highest one offered; 0: none.
  // The extension was present: GREASE looks the same as the real one.
  bool ech = false;
  std::string_view route;          // The name of the route that took the client; empty: none.
  std::string_view backend;        // The address connected to; empty: none.
  std::string_view upstream;       // The SOCKS5 server on the way; left out if empty.
  std::uint32_t attempts = 0;      // Connects begun.
  std::uint32_t resolve_ms = 0;    // Waiting for the resolver.
  std::uint32_t queue_ms = 0;      // Time in the queue for a backend.
  std::uint32_t connect_ms = 0;    // From the first connect to an answer, or to the last failure.
  std::uint64_t client_bytes = 0;  // From client to backend.
  std::uint64_t server_bytes = 0;  // From backend to client.
  std::uint64_t duration_ms = 0;
  std::string_view plane;      // The relay plane; empty: the relay never began.
  std::string_view end;        // How it ended.
  std::string_view unique_id;  // As sent to the backend; left out if empty.
  // Why `backend` was not reached, or what is wrong with the name; left out if empty.
  std::string_view error;
};

// Bytes logged of a name that is not a host name.
inline constexpr std::size_t logged_name_max = 255;

std::string access_line(const AccessRecord& record, LogFormat format,
                        InterfaceNames names = nullptr);

// Printable ASCII with quotes and backslashes as \" and \\, every other byte as \xHH.
std::string escape_for_log(std::string_view text);

// The first name of a ProtocolNameList as in FirstFlight; empty: there is none.
std::string_view first_protocol(std::span<const std::uint8_t> alpn_list);

}  // namespace sni
