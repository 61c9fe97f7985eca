#include "net/control/control_socket.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/limits.h"
#include "core/unique_fd.h"
#include "net/control/control_client.h"
#include "tests/support/socket_path.h"

using namespace sni;
using namespace sni::test;
using nlohmann::json;

namespace {

// Its commands "later" are answered in order by one "release".
class TestCommands : public ControlCommands {
 public:
  bool run(std::string_view command, const json& request, const ControlReply& reply) override {
    if (command == "echo") {
      reply(request.at("value"));
    } else if (command == "fill") {
      reply(json(std::string(request.at("bytes").get<std::size_t>(), 'x')));
    } else if (command == "refuse") {
      reply(fail("not today"));
    } else if (command == "later") {
      later_.emplace_back(reply, request.at("value"));
    } else if (command == "release") {
      for (const auto& [later, value] : later_) later(value);
      reply(json(std::exchange(later_, {}).size()));
    } else {
      return false;
    }
    return true;
  }

 private:
  std::vector<std::pair<ControlReply, json>> later_;
};

// A server that is dispatched in a thread, with a command that echoes.
class Serving {
 public:
  explicit Serving(const std::string& path) : Serving(ControlConfig{.socket = path}) {}
  explicit Serving(const ControlConfig& config) {
    auto server = ControlServer::listen(config);
    REQUIRE_MESSAGE(server, server.error().what);
    server_ = std::move(*server);
    server_->add(std::make_unique<TestCommands>());
    thread_ = std::jthread([this] {
      while (!stop_) {
        pollfd wait{.fd = server_->fd(), .events = POLLIN, .revents = 0};
        poll(&wait, 1, 10);
        server_->dispatch(0);
      }
    });
  }
  ~Serving() { stop_ = true; }

 private:
  std::unique_ptr<ControlServer> server_;
  std::atomic<bool> stop_{false};
  std::jthread thread_;
};

UniqueFd connected(const std::string& path) {
  UniqueFd fd = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const timeval receive_timeout{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof receive_timeout);
  return fd;
}

void say(const UniqueFd& fd, const std::string& text) {
  REQUIRE(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(text.size()));
}

// Up to and without the newline; "" at the end of the connection.
std::string line_from(const UniqueFd& fd) {
  std::string line;
  char c = 0;
  while (recv(fd.get(), &c, 1, 0) == 1 && c != '\n') line += c;
  return line;
}

std::string error_of(const std::string& line) {
  return json::parse(line).value("error", "");
}

}  // namespace

TEST_CASE("a request gets the answer of its handler") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    const auto answer = control_call(path, {{"command", "echo"}, {"value", {1, "two"}}});
    REQUIRE(answer);
    CHECK(*answer == json{1, "two"});
    const auto refused = control_call(path, {{"command", "refuse"}});
    REQUIRE(!refused);
    CHECK(refused.error().what == "not today");
  }
  CHECK(access(path.c_str(), F_OK) != 0);
  remove_directory_of(path);
}

TEST_CASE("only the owner may use the socket") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    struct stat status{};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  remove_directory_of(path);
}

TEST_CASE("the socket has the mode and the group of the configuration") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(
        ControlConfig{.socket = path, .group = std::to_string(getegid()), .mode = 0660});
    struct stat status{};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0660);
    CHECK(status.st_gid == getegid());
  }
  const auto nobody = ControlServer::listen({.socket = path, .group = "no-such-group"});
  REQUIRE(!nobody);
  CHECK(nobody.error().what ==
        "cannot open the control socket " + path + ": this host has no group 'no-such-group'");
  CHECK(access(path.c_str(), F_OK) != 0);
  remove_directory_of(path);
}

TEST_CASE("a client that reads nothing of its answer is cut, one that reads slowly is not") {
  const std::string path = fresh_socket_path();
  {
    auto server = *ControlServer::listen({.socket = path});
    server->add(std::make_unique<TestCommands>());
    const UniqueFd lazy = connected(path);
    const UniqueFd slow = connected(path);
    const UniqueFd idle = connected(path);
    CHECK_FALSE(server->deadline_ms());
    std::uint64_t now = 1'000;
    for (const UniqueFd* each : {&lazy, &slow}) {
      say(*each, R"({"version":1,"command":"fill","bytes":8000000})"
                 "\n");
    }
    const auto dispatch = [&] {
      for (int i = 0; i < 10; ++i) server->dispatch(now);
    };
    dispatch();
    CHECK(server->deadline_ms() == now + limits::control_timeout_ms);
    std::string bytes(4'000'000, ' ');
    now += limits::control_timeout_ms - 1;
    REQUIRE(recv(slow.get(), bytes.data(), bytes.size(), 0) > 100'000);
    dispatch();
    now += 1;
    dispatch();
    // The bytes in the kernel's buffer are still readable, and then the end.
    while (recv(lazy.get(), bytes.data(), bytes.size(), 0) > 0) {
    }
    std::size_t received = 0;
    for (int turns = 0; received < 4'000'000 && turns < 1'000; ++turns) {
      dispatch();
      const ssize_t size = recv(slow.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (size > 0) received += static_cast<std::size_t>(size);
    }
    CHECK(received >= 4'000'000);
    say(idle, R"({"version":1,"command":"echo","value":1})"
              "\n");
    dispatch();
    CHECK(json::parse(line_from(idle)).at("result") == 1);
  }
  remove_directory_of(path);
}

TEST_CASE("an invalid request is answered with the reason, and the connection continues") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    const UniqueFd fd = connected(path);
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"hello", "the request is not a JSON object"},
        {"[1]", "the request is not a JSON object"},
        {"", "the request is not a JSON object"},
        {"{}", "this proxy speaks version 1"},
        {R"({"version":2,"command":"echo"})", "this proxy speaks version 1"},
        {R"({"version":"1","command":"echo"})", "this proxy speaks version 1"},
        {R"({"version":1})", "the request has no command"},
        {R"({"version":1,"command":7})", "the request has no command"},
        {R"({"version":1,"command":"reboot"})", "this proxy does not know the command"},
    };
    for (const auto& [request, error] : wrong) {
      CAPTURE(request);
      say(fd, request + "\n");
      CHECK(error_of(line_from(fd)) == error);
    }
    say(fd, R"({"version":1,"command":"echo","value":5})"
            "\n");
    CHECK(json::parse(line_from(fd)) == json{{"version", 1}, {"ok", true}, {"result", 5}});
  }
  remove_directory_of(path);
}

TEST_CASE("requests may come byte by byte, many at a time, and before a half-close") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    const UniqueFd fd = connected(path);
    for (const char c : std::string(R"({"version":1,"command":"echo","value":0})"
                                    "\n")) {
      say(fd, std::string(1, c));
    }
    CHECK(json::parse(line_from(fd)).at("result") == 0);
    std::string many;
    for (int i = 1; i <= 200; ++i) {
      many += json{{"version", 1}, {"command", "echo"}, {"value", i}}.dump() + "\n";
    }
    say(fd, many);
    shutdown(fd.get(), SHUT_WR);
    for (int i = 1; i <= 200; ++i) CHECK(json::parse(line_from(fd)).at("result") == i);
    CHECK(line_from(fd).empty());
  }
  remove_directory_of(path);
}

TEST_CASE("a request without end is refused at its bound") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    const UniqueFd fd = connected(path);
    say(fd, std::string(limits::control_request_max + 1, ' '));
    CHECK(error_of(line_from(fd)) == "the request is too long");
    CHECK(line_from(fd).empty());
  }
  remove_directory_of(path);
}

TEST_CASE("a client that does not read its answer delays no other") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    const UniqueFd lazy = connected(path);
    say(lazy, R"({"version":1,"command":"fill","bytes":8000000})"
              "\n");
    for (int i = 0; i < 5; ++i) {
      CHECK(control_call(path, {{"command", "echo"}, {"value", i}}));
    }
    CHECK(line_from(lazy).size() > 8'000'000);
  }
  remove_directory_of(path);
}

TEST_CASE("a command that is answered later delays only its own client") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    const UniqueFd waiting = connected(path);
    say(waiting, R"({"version":1,"command":"later","value":1})"
                 "\n"
                 R"({"version":1,"command":"echo","value":2})"
                 "\n");
    shutdown(waiting.get(), SHUT_WR);
    CHECK(control_call(path, {{"command", "echo"}, {"value", 1}}));
    while (*control_call(path, {{"command", "release"}}) == 0) {
    }
    CHECK(json::parse(line_from(waiting)).at("result") == 1);
    CHECK(json::parse(line_from(waiting)).at("result") == 2);
    CHECK(line_from(waiting).empty());
  }
  remove_directory_of(path);
}

TEST_CASE("the answer to a client that has left is dropped") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    UniqueFd leaving = connected(path);
    say(leaving, R"({"version":1,"command":"later","value":1})"
                 "\n"
                 R"({"version":1,"command":"later","value":2})"
                 "\n");
    leaving.reset();
    const UniqueFd staying = connected(path);
    say(staying, R"({"version":1,"command":"later","value":3})"
                 "\n");
    while (*control_call(path, {{"command", "release"}}) == 0) {
    }
    CHECK(json::parse(line_from(staying)).at("result") == 3);
  }
  remove_directory_of(path);
}

TEST_CASE("forgotten clients give way to new ones") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    std::vector<UniqueFd> forgotten;
    for (std::size_t i = 0; i < limits::control_clients_max; ++i) {
      forgotten.push_back(connected(path));
    }
    CHECK(control_call(path, {{"command", "echo"}, {"value", 1}}));
    CHECK(line_from(forgotten.front()).empty());
  }
  remove_directory_of(path);
}

TEST_CASE("a second proxy does not take the socket of a running one, but one that is left over") {
  const std::string path = fresh_socket_path();
  {
    const Serving serving(path);
    const auto second = ControlServer::listen({.socket = path});
    REQUIRE(!second);
    CHECK(second.error().what ==
          "cannot open the control socket " + path + ": another proxy listens there");
    CHECK(control_call(path, {{"command", "echo"}, {"value", 1}}));
  }
  {
    UniqueFd left = UniqueFd::adopt(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    left.reset();
    const Serving serving(path);
    CHECK(control_call(path, {{"command", "echo"}, {"value", 1}}));
  }
  remove_directory_of(path);
}

TEST_CASE("a file that is no socket is not removed") {
  const std::string path = fresh_socket_path();
  FILE* file = fopen(path.c_str(), "w");
  REQUIRE(file != nullptr);
  fclose(file);
  CHECK(!ControlServer::listen({.socket = path}));
  CHECK(access(path.c_str(), F_OK) == 0);
  unlink(path.c_str());
  remove_directory_of(path);
}

TEST_CASE("without a running proxy the caller gets an error") {
  const auto answer = control_call("/nonexistent/control.sock", {{"command", "echo"}});
  REQUIRE(!answer);
  CHECK(answer.error().what ==
        "cannot reach the proxy at /nonexistent/control.sock (is it running?): No such file or "
        "directory");
}
