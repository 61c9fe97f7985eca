#include "net/server/service_manager.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

using namespace sni;

namespace {

// An abstract socket, and the environment that names it.
class Manager {
 public:
  Manager() {
    const std::string name = "sni-proxy-test-" + std::to_string(getpid());
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    socket_ = UniqueFd::adopt(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  }
  ~Manager() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  // "": nothing has arrived.
  std::string heard() const {
    std::array<char, 512> bytes;
    const ssize_t size = recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return size < 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(size));
  }

 private:
  UniqueFd socket_;
};

}  // namespace

TEST_CASE("a service manager hears of start, reload, life and end") {
  const Manager manager;
  const ServiceManager teller = ServiceManager::from_environment();
  teller.ready("serving");
  CHECK(manager.heard() == "READY=1\nSTATUS=serving");
  teller.reloading();
  CHECK(manager.heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  teller.alive();
  CHECK(manager.heard() == "WATCHDOG=1");
  teller.stopping("draining");
  CHECK(manager.heard() == "STOPPING=1\nSTATUS=draining");
  CHECK_FALSE(teller.alive_every_ms());
}

TEST_CASE("the watchdog is told twice in its time, and only where it is ours") {
  const Manager manager;
  setenv("WATCHDOG_USEC", "30000000", 1);
  CHECK(ServiceManager::from_environment().alive_every_ms() == 15'000);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  CHECK(ServiceManager::from_environment().alive_every_ms() == 15'000);
  setenv("WATCHDOG_PID", "1", 1);
  CHECK_FALSE(ServiceManager::from_environment().alive_every_ms());
  unsetenv("WATCHDOG_PID");
  for (const char* wrong : {"", "0", "-1", "soon"}) {
    setenv("WATCHDOG_USEC", wrong, 1);
    CHECK_FALSE(ServiceManager::from_environment().alive_every_ms());
  }
}

TEST_CASE("without a manager, or with a wrong socket, nothing is sent and nothing fails") {
  ServiceManager::from_environment().ready("nobody listens");
  setenv("NOTIFY_SOCKET", "relative", 1);
  ServiceManager::from_environment().ready("nobody listens");
  setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
  ServiceManager::from_environment().ready("nobody listens");
  setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  ServiceManager::from_environment().ready("nobody listens");
  unsetenv("NOTIFY_SOCKET");
}
