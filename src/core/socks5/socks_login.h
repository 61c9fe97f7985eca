#pragma once

// Name and password for a SOCKS5 server (RFC 1929).

#include <cstddef>
#include <string>

namespace sni {

// 1 to 255 bytes each. An empty name: there is no login.
struct SocksLogin {
  std::string username;
  std::string password;
  bool operator==(const SocksLogin&) const = default;
};
inline constexpr std::size_t socks_login_bytes_max = 255;

}  // namespace sni
