// The forms of a route's backends.

#include <doctest/doctest.h>

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
