#pragma once

// The one line that each connection leaves in the log at its end, as text or as a JSON object, with
// the same keys in the same order. Names and protocols come from the network: in either format
// control characters, quotes and whatever is not ASCII are escaped, so that a client can neither
// start a line of its own nor reach the terminal that shows it.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/address/address.h"
#include "core/config/config.h"

namespace sni {

struct AccessRecord {
  Endpoint client;
  Endpoint proxy;  // That told of the client; left out where its port is 0.
  std::string_view listener;
  std::string_view server_name;   // Empty: the client named nobody, or was not understood. A name
                                  // that is no host name stands as it came, cut to logged_name_max.
  std::string_view alpn;          // The first protocol offered.
  std::uint16_t tls_version = 0;  // The highest one offered; 0: none.
  bool ech = false;               // The extension was there: GREASE looks the same as the real one.
  std::string_view route;         // The name of the route that took the client; empty: none did.
  std::string_view backend;       // The address connected to; empty: none was.
  std::string_view upstream;      // The SOCKS5 server by which it was; left out where it is empty.
  std::uint32_t attempts = 0;     // Connects that were begun.
  std::uint32_t queue_ms = 0;     // Waited for a place at a backend.
  std::uint32_t connect_ms = 0;   // From the first of them until one was answered, or none.
  std::uint64_t client_bytes = 0;  // From client to backend.
  std::uint64_t server_bytes = 0;  // From backend to client.
  std::uint64_t duration_ms = 0;
  std::string_view plane;      // The relay plane; empty: it did not come so far.
  std::string_view end;        // How it ended.
  std::string_view unique_id;  // That the backend was told; left out where it is empty.
  // Why `backend` was not reached, or what is wrong with the name; left out where it is empty.
  std::string_view error;
};

// Bytes of a name that is no host name.
inline constexpr std::size_t logged_name_max = 255;

std::string access_line(const AccessRecord& record, LogFormat format);

// Printable ASCII with quotes and backslashes as \" and \\, every other byte as \xHH.
std::string escape_for_log(std::string_view text);

// The first name of a ProtocolNameList as in FirstFlight; empty: there is none.
std::string_view first_protocol(std::span<const std::uint8_t> alpn_list);

}  // namespace sni
