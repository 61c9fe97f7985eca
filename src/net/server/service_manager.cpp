#include "net/server/service_manager.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>

#include "core/decimal.h"
#include "net/environment.h"

namespace sni {

namespace {

std::optional<std::uint64_t> watchdog_us() {
  const auto pid = environment("WATCHDOG_PID");
  if (!pid.empty() && parse_decimal(pid, INT32_MAX) != static_cast<std::uint64_t>(getpid())) {
    return std::nullopt;  // Another process is to send it.
  }
  const auto us = parse_decimal(environment("WATCHDOG_USEC"), UINT64_MAX);
  return us && *us > 0 ? us : std::nullopt;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager manager;
  const std::string_view path = environment("NOTIFY_SOCKET");
  // An abstract socket is written with an '@' in place of its NUL byte.
  const bool is_path = path.starts_with('/') || path.starts_with('@');
  if (!is_path || path.size() >= sizeof manager.address_.sun_path) return manager;
  manager.address_.sun_family = AF_UNIX;
  std::memcpy(manager.address_.sun_path, path.data(), path.size());
  if (path.front() == '@') manager.address_.sun_path[0] = 0;
  manager.length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  manager.socket_ = UniqueFd::adopt(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (const auto us = watchdog_us())
    manager.alive_every_ms_ = std::max<std::uint64_t>(*us / 2000, 1);
  return manager;
}

// By the time the manager knows which READY=1 belongs to it.
void ServiceManager::reloading() const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

void ServiceManager::tell(const std::string& message) const {
  if (!socket_) return;
  sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address_), length_);
}

}  // namespace sni
