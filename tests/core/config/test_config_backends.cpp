// The forms of a route's backends.

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "core/route/backend.h"
#include "support/config_mistakes.h"

using namespace sni;

TEST_CASE("a backend is a string or a table, alone or mixed in an array") {
  const Config config = read_valid(
      "listener = [{ name = 'https', address = '0.0.0.0:443' }]\n"
      "[[route]]\nnames = ['a.example']\nbalance = 'source_hash'\n"
      "backend = ['b.example:1', { address = '10.0.0.5:8443', weight = 3, backup = true }]\n"
      "[[route]]\nnames = ['b.example']\nbackend = { address = 'unix:/run/app.sock' }\n");
  REQUIRE(config.routes[0].backends.size() == 2);
  CHECK(config.routes[0].balance == Balance::source_hash);
  CHECK(config.routes[0].backends[0] == *parse_backend("b.example:1"));
  Backend table = *parse_backend("10.0.0.5:8443");
  table.weight = 3;
  table.backup = true;
  CHECK(config.routes[0].backends[1] == table);
  CHECK(config.routes[1].backends.front().host == "/run/app.sock");
}

namespace {

constexpr const char* listener =
    "listener = [{ name = 'https', address = '0.0.0.0:443' }]\n"
    "[[route]]\nnames = ['a.example']\n";

}  // namespace

TEST_CASE("a backend limits its connections, and its route the waiting ones") {
  const Config config = read_valid(
      std::string(listener) +
      "queue = 7\nbackend = [{ address = '10.0.0.5:8443', max_connections = 500 }, 'b.example:1']\n"
      "[timeouts]\nqueue = '2s'\n");
  CHECK(config.routes[0].backends[0].connections_max == 500);
  CHECK(config.routes[0].backends[1].connections_max == 0);
  CHECK(config.routes[0].queue == 7);
  CHECK(config.timeouts.queue == std::chrono::seconds(2));
}

TEST_CASE("one backend has one bound, and a queue needs one") {
  CHECK(mistakes(std::string(listener) +
                 "backend = { address = '10.0.0.5:8443', max_connections = 5 }\n"
                 "[[route]]\nnames = ['b.example']\n"
                 "backend = { address = '10.0.0.5:8443', max_connections = 6 }\n") ==
        Messages{"c.toml:7:11: 'max_connections' of backend '10.0.0.5:8443' is 5 in line 4; it "
                 "holds for all routes that name the backend"});
  CHECK(mistakes(std::string(listener) + "queue = 5\nbackend = '10.0.0.5:8443'\n") ==
        Messages{"c.toml:4:9: warning: 'queue' in [[route]] has no effect without "
                 "'max_connections' of a backend"});
  CHECK(mistakes(std::string(listener) +
                 "queue = 1000001\n"
                 "backend = { address = '10.0.0.5:8443', max_connections = 10000001 }\n")
            .size() == 2);
}
