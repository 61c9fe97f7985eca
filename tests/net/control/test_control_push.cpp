// Lines that are pushed to clients besides their answers.

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "core/limits.h"
#include "core/unique_fd.h"
#include "net/control/control_address.h"
#include "net/control/control_socket.h"
#include "tests/support/socket_path.h"

using namespace sni;
using namespace sni::test;
using nlohmann::json;

namespace {

// Remembers the client that asked, to push to it.
class FollowCommands : public ControlCommands {
 public:
  FollowCommands(const ControlServer& server, ControlServer::ClientId& follower)
      : server_(server), follower_(follower) {}
  bool run(std::string_view command, const json& /*request*/, const ControlReply& reply) override {
    if (command != "follow") return false;
    follower_ = server_.answering();
    reply(json(true));
    return true;
  }

 private:
  const ControlServer& server_;
  ControlServer::ClientId& follower_;
};

// Dispatched by hand, with one client that follows.
struct Followed {
  Followed() {
    server = std::move(*ControlServer::listen({.socket = path}));
    server->add(std::make_unique<FollowCommands>(*server, follower));
    client = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = *control_address(path);
    REQUIRE(connect(client.get(), as_sockaddr(address), sizeof address) == 0);
    const std::string request = R"({"version": 1, "command": "follow"})"
                                "\n";
    REQUIRE(send(client.get(), request.data(), request.size(), 0) > 0);
    for (int i = 0; i < 4; ++i) server->dispatch(1000);
    REQUIRE(received().find("true") != std::string::npos);
  }
  ~Followed() {
    server.reset();
    remove_directory_of(path);
  }
  std::string received() const {
    std::array<char, 4096> bytes;
    const ssize_t size = recv(client.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return size <= 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(size));
  }

  std::string path = fresh_socket_path();
  std::unique_ptr<ControlServer> server;
  ControlServer::ClientId follower = 0;
  UniqueFd client;
};

}  // namespace

TEST_CASE("lines are pushed to the client that asked for them, until it leaves") {
  Followed followed;
  CHECK(followed.server->push(followed.follower, "one\n"));
  CHECK(followed.server->push(followed.follower, ""));
  CHECK(followed.server->push(followed.follower, "two\n"));
  CHECK(followed.received() == "one\ntwo\n");
  CHECK_FALSE(followed.server->push(followed.follower + 1, "nobody\n"));
  followed.client.reset();
  followed.server->dispatch(1000);
  CHECK_FALSE(followed.server->push(followed.follower, "three\n"));
}

TEST_CASE(
    "a client that does not read pushed lines is disconnected, at a bound or after its time") {
  Followed fast;
  const std::string much(ControlServer::push_backlog / 4, 'x');
  int pushed = 0;
  while (pushed < 100 && fast.server->push(fast.follower, much)) ++pushed;
  CHECK(pushed >= 4);
  CHECK(pushed < 100);
  Followed slow;
  CHECK(slow.server->push(slow.follower, std::string(ControlServer::push_backlog / 2, 'x')));
  CHECK(slow.server->push(slow.follower, "x"));
  slow.server->dispatch(1000 + limits::control_timeout_ms);
  CHECK_FALSE(slow.server->push(slow.follower, "x"));
}
