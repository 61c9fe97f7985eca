#pragma once

// What a service manager is told (sd_notify(3)): datagrams of lines to the socket that $NOTIFY_SOCKET
// names. Without it, as in a terminal, nothing is sent. Never blocks; what cannot be sent is dropped,
// for the next message says the same.

#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/unique_fd.h"

namespace sni {

class ServiceManager {
 public:
  // Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID.
  static ServiceManager from_environment();

  void ready(std::string_view status) const { tell("READY=1\nSTATUS=" + std::string(status)); }
  // Until ready() is told again.
  void reloading() const;
  void stopping(std::string_view status) const {
    tell("STOPPING=1\nSTATUS=" + std::string(status));
  }
  void alive() const { tell("WATCHDOG=1"); }

  // How often alive() is wanted: in half of the time after which the manager gives us up. nullopt:
  // never.
  std::optional<std::uint64_t> alive_every_ms() const { return alive_every_ms_; }

 private:
  void tell(const std::string& message) const;

  UniqueFd socket_;  // Empty: there is no manager.
  sockaddr_un address_{};
  socklen_t length_ = 0;
  std::optional<std::uint64_t> alive_every_ms_;
};

}  // namespace sni
