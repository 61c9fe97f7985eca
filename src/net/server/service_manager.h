#pragma once

// Notifies a service manager (sd_notify(3)): datagrams of lines to the socket that $NOTIFY_SOCKET
// names. Without it, as in a terminal, nothing is sent. Never blocks: a message that cannot be sent
// is dropped, since the next one repeats it.

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
  // Reports a reload, until ready() is called again.
  void reloading() const;
  void stopping(std::string_view status) const {
    tell("STOPPING=1\nSTATUS=" + std::string(status));
  }
  void alive() const { tell("WATCHDOG=1"); }

  // The interval for alive(): half of the watchdog's timeout. nullopt: there is no watchdog.
  std::optional<std::uint64_t> alive_every_ms() const { return alive_every_ms_; }

 private:
  void tell(const std::string& message) const;

  UniqueFd socket_;  // Empty: there is no manager.
  sockaddr_un address_{};
  socklen_t length_ = 0;
  std::optional<std::uint64_t> alive_every_ms_;
};

}  // namespace sni
