#include "net/server/fixed_settings.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sni;

namespace {

Config with_listener(bool v6only) {
  Config config;
  config.listeners = {{.name = "https", .address = *parse_endpoint("[::]:443"), .v6only = v6only}};
  return config;
}

}  // namespace

TEST_CASE(
    "a configuration that is read again has no key that waits for the "
    "next start") {
  Config running = with_listener(true);
  Config next = running;
  settle(running);
  settle(next);
  CHECK(running.workers > 0);
  CHECK(keep_fixed(running, next).empty());
}

TEST_CASE("what cannot change is named and stays") {
  Config running = with_listener(true);
  running.workers = 2;
  Config next = with_listener(false);
  next.workers = 3;
  next.pin_workers = true;
  next.user = "nobody";
  next.stats.file = "/elsewhere.json";
  next.control = {.socket = "/elsewhere", .group = "adm", .mode = 0660};
  CHECK(keep_fixed(running, next) ==
        std::vector<std::string>{"server.workers", "server.pin_workers", "server.user",
                                 "control.socket", "control.group", "control.mode", "stats.file",
                                 "v6only of listener https"});
  CHECK(next.workers == 2);
  CHECK_FALSE(next.pin_workers);
  CHECK(next.control == running.control);
  CHECK(next.listeners[0].v6only);
}
