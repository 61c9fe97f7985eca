// Sockets of a service manager: which ones are ours, and which listener gets which of them.

#include "net/server/passed_sockets.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "net/socket.h"
#include "support/reserved_port.h"

using namespace sni;
using namespace sni::test;

namespace {

ListenerConfig named_listener(const std::string& name, const Endpoint& address) {
  ListenerConfig config;
  config.name = name;
  config.address = address;
  return config;
}

// Runs `check` in a child whose descriptor 3 is a copy of `fd`, with these variables. Returns
// whether `check` returned true. The test's own descriptors do not change.
template <typename Check>
bool in_child(int fd, const std::string& names, pid_t pid, const Check& check) {
  const pid_t child = fork();
  if (child == 0) {
    dup2(fd, 3);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", names.c_str(), 1);
    setenv("LISTEN_PID", std::to_string(pid == 0 ? getpid() : pid).c_str(), 1);
    _exit(check() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("without its variables there is no socket") {
  PassedSockets none = PassedSockets::from_environment();
  CHECK(none.close_unused().empty());
  const ReservedPort port;
  const auto found = none.find(named_listener("https", port.endpoint()), {});
  REQUIRE(found);
  CHECK_FALSE(*found);
}

TEST_CASE("a listener gets the socket of its name or address, as often as it asks") {
  const ReservedPort port;
  const auto fd = listen_on(named_listener("x", port.endpoint()), false, {});
  REQUIRE(fd);
  for (const std::string names : {"https", "other"}) {
    CAPTURE(names);
    CHECK(in_child(fd->get(), names, 0, [&] {
      PassedSockets passed = PassedSockets::from_environment();
      const auto first = passed.find(named_listener("https", port.endpoint()), {});
      const auto second = passed.find(named_listener("https", port.endpoint()), {});
      return first && second && *first && *second && first->get() != second->get() &&
             (fcntl(first->get(), F_GETFD) & FD_CLOEXEC) != 0 && passed.close_unused().empty();
    }));
  }
}

TEST_CASE("a socket of the name that listens elsewhere is an error") {
  const ReservedPort port;
  const ReservedPort elsewhere;
  const auto fd = listen_on(named_listener("x", port.endpoint()), false, {});
  REQUIRE(fd);
  CHECK(in_child(fd->get(), "https", 0, [&] {
    PassedSockets passed = PassedSockets::from_environment();
    const auto found = passed.find(named_listener("https", elsewhere.endpoint()), {});
    return !found && found.error().what.starts_with(
                         "the socket 'https' of the service manager "
                         "listens on ");
  }));
}

TEST_CASE("sockets for another process are not ours") {
  const ReservedPort port;
  const auto fd = listen_on(named_listener("x", port.endpoint()), false, {});
  REQUIRE(fd);
  CHECK(in_child(fd->get(), "https", 1, [&] {
    PassedSockets passed = PassedSockets::from_environment();
    const auto found = passed.find(named_listener("https", port.endpoint()), {});
    return found && !*found && passed.close_unused().empty();
  }));
}
