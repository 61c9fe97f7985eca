#include "net/guard/guard.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/guard/guard_commands.h"
#include "tests/support/guard_entries.h"

using namespace sni;
using namespace sni::test;

namespace {

GuardInput blocking(std::vector<std::string> prefixes) {
  GuardInput input;
  for (const std::string& text : prefixes)
    input.access.block.push_back({.prefix = prefix(text), .until = {}});
  input.listener_ports = {443};
  return input;
}

// A guard without XDP, which needs no privileges.
struct Guarding {
  explicit Guarding(GuardInput input) {
    auto started = Guard::start(admission, {}, std::move(input));
    REQUIRE_MESSAGE(started, started.error().what);
    guard = std::move(*started);
  }

  std::optional<Refusal> refuses(const std::string& address) const {
    return admission.refuses(*parse_ip(address));
  }
  void finish_reload() {
    while (guard->is_rebuilding()) turn();
  }
  void turn() {
    pollfd wait{.fd = guard->fd(), .events = POLLIN, .revents = 0};
    poll(&wait, 1, 1000);
    guard->work();
  }
  // Runs commands and waits until they are in force.
  Result<void> block(const IpPrefix& source, std::optional<std::uint32_t> seconds) {
    std::optional<Result<void>> told;
    guard->block(source, seconds, [&](const Result<void>& result) { told = result; });
    while (!told) turn();
    return *told;
  }
  Result<Guard::Unblocked> unblock(const IpPrefix& source) {
    std::optional<Result<Guard::Unblocked>> told;
    guard->unblock(source, [&](const Result<Guard::Unblocked>& result) { told = result; });
    while (!told) turn();
    return *told;
  }

  Admission admission;
  std::unique_ptr<Guard> guard;
};

}  // namespace

TEST_CASE("the lists hold from the start, with their reasons") {
  GuardInput input = blocking({"192.0.2.0/24"});
  input.access.allow = {{.prefix = prefix("192.0.2.7"), .until = {}}};
  input.block_file = {{.prefix = prefix("2001:db8::1"), .until = {}}};
  Guarding open(input);
  CHECK(open.refuses("192.0.2.1") == Refusal::blocked);
  CHECK(!open.refuses("192.0.2.7"));
  CHECK(open.refuses("2001:db8::1") == Refusal::blocked);
  CHECK(!open.refuses("198.51.100.1"));
  input.access.default_allow = false;
  Guarding closed(input);
  CHECK(closed.refuses("198.51.100.1") == Refusal::not_allowed);
  CHECK(!closed.refuses("192.0.2.7"));
}

TEST_CASE("entries whose time has passed do not hold and others do until theirs") {
  using namespace std::chrono_literals;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  GuardInput input;
  input.access.block = {{.prefix = prefix("192.0.2.1"), .until = now - 1s},
                        {.prefix = prefix("192.0.2.2"), .until = now + 1h}};
  Guarding guarding(input);
  CHECK(!guarding.refuses("192.0.2.1"));
  CHECK(guarding.refuses("192.0.2.2") == Refusal::blocked);
}

TEST_CASE("a configured block that is unblocked and blocked again is as it was") {
  Guarding guarding(blocking({"203.0.113.0/24", "192.0.2.7"}));
  for (const char* text : {"203.0.113.0/24", "192.0.2.7"}) {
    CAPTURE(text);
    REQUIRE(guarding.unblock(prefix(text)));
    const auto again = guarding.unblock(prefix(text));
    REQUIRE(again);
    CHECK(!again->was_blocked);
    CHECK(again->configured);
    REQUIRE(guarding.block(prefix(text), 3600));
    const auto configured = guarding.unblock(prefix(text));
    REQUIRE(configured);
    CHECK(configured->was_blocked);
    CHECK(configured->configured);
  }
  guarding.guard->reload(blocking({}));
  guarding.finish_reload();
  const auto gone = guarding.unblock(prefix("192.0.2.7"));
  REQUIRE(gone);
  CHECK(!gone->configured);
}

TEST_CASE("who reloads is told when the newest lists are in force") {
  Guarding guarding(blocking({}));
  int told = 0;
  guarding.guard->when_in_force([&] { ++told; });
  CHECK(told == 1);
  guarding.guard->reload(blocking({"192.0.2.1"}));
  guarding.guard->when_in_force(
      [&] { told += guarding.refuses("192.0.2.2") == Refusal::blocked ? 1 : 100; });
  guarding.guard->reload(blocking({"192.0.2.2"}));
  guarding.guard->when_in_force([&] { ++told; });
  CHECK(told == 1);
  guarding.finish_reload();
  CHECK(told == 3);
}

TEST_CASE("changes of a long list are planned beside the caller, and hold in their order") {
  std::vector<std::string> many;
  for (int i = 0; i < 12'000; ++i) {
    many.push_back("10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0/25");
  }
  Guarding guarding(blocking(many));
  std::vector<std::string> order;
  guarding.guard->block(prefix("203.0.113.0/24"), std::nullopt, [&](const Result<void>& done) {
    order.emplace_back(done ? "prefix" : "no");
  });
  CHECK(order.empty());
  CHECK(!guarding.refuses("203.0.113.9"));
  guarding.guard->block(prefix("198.51.100.9"), std::nullopt, [&](const Result<void>& done) {
    order.emplace_back(done ? "single" : "no");
  });
  guarding.guard->reload(blocking(many));
  REQUIRE(guarding.unblock(prefix("203.0.113.0/24"))->was_blocked);
  CHECK(order == std::vector<std::string>{"prefix", "single"});
  CHECK(!guarding.refuses("203.0.113.9"));
  CHECK(guarding.refuses("198.51.100.9") == Refusal::blocked);
  guarding.finish_reload();
  CHECK(!guarding.refuses("203.0.113.9"));
  CHECK(guarding.refuses("198.51.100.9") == Refusal::blocked);
}

TEST_CASE("commands block and unblock at once, and say what else blocks") {
  Guarding guarding(blocking({"192.0.2.0/24", "198.51.100.7"}));
  REQUIRE(guarding.block(prefix("203.0.113.0/24"), std::nullopt));
  CHECK(guarding.refuses("203.0.113.9") == Refusal::blocked);
  const auto lifted = guarding.unblock(prefix("203.0.113.0/24"));
  REQUIRE(lifted);
  CHECK(lifted->was_blocked);
  CHECK(!lifted->configured);
  CHECK(!guarding.refuses("203.0.113.9"));

  const auto inside = guarding.unblock(prefix("192.0.2.9"));
  REQUIRE(inside);
  CHECK(!inside->was_blocked);
  CHECK(inside->still_by == std::vector{prefix("192.0.2.0/24")});
  CHECK(guarding.refuses("192.0.2.9") == Refusal::blocked);

  const auto configured = guarding.unblock(prefix("198.51.100.7"));
  REQUIRE(configured);
  CHECK(configured->configured);
  CHECK(!guarding.refuses("198.51.100.7"));
}

TEST_CASE("commands outlive a reload, also those made while the new lists are built") {
  Guarding guarding(blocking({"192.0.2.0/24"}));
  REQUIRE(guarding.block(prefix("203.0.113.1"), 3600));
  REQUIRE(guarding.block(prefix("203.0.113.2"), 3600));
  guarding.guard->reload(blocking({"198.51.100.0/24"}));
  REQUIRE(guarding.block(prefix("203.0.113.3"), 3600));
  REQUIRE(guarding.unblock(prefix("203.0.113.2")));
  guarding.finish_reload();
  CHECK(!guarding.refuses("192.0.2.1"));
  CHECK(guarding.refuses("198.51.100.1") == Refusal::blocked);
  CHECK(guarding.refuses("203.0.113.1") == Refusal::blocked);
  CHECK(!guarding.refuses("203.0.113.2"));
  CHECK(guarding.refuses("203.0.113.3") == Refusal::blocked);
}

TEST_CASE("a reload updates which commands the configuration also contains") {
  Guarding guarding(blocking({"192.0.2.1", "192.0.2.0/28"}));
  for (const char* text : {"192.0.2.1", "192.0.2.0/28", "192.0.2.2"}) {
    REQUIRE(guarding.block(prefix(text), 3600));
  }
  guarding.guard->reload(blocking({"192.0.2.2", "192.0.2.3"}));
  for (const char* text : {"192.0.2.3", "192.0.2.4"}) {
    REQUIRE(guarding.block(prefix(text), 3600));
  }
  guarding.finish_reload();
  for (const auto& [text, configured] :
       {std::pair{"192.0.2.1", false}, std::pair{"192.0.2.0/28", false},
        std::pair{"192.0.2.2", true}, std::pair{"192.0.2.3", true},
        std::pair{"192.0.2.4", false}}) {
    CAPTURE(text);
    const auto lifted = guarding.unblock(prefix(text));
    REQUIRE(lifted);
    CHECK(lifted->was_blocked);
    CHECK(lifted->configured == configured);
  }
}

TEST_CASE("when a command has ended, the configured term still applies") {
  Guarding guarding(blocking({"192.0.2.1"}));
  for (const char* text : {"192.0.2.1", "192.0.2.2"}) {
    REQUIRE(guarding.block(prefix(text), 0));
  }
  guarding.guard->work();
  CHECK(!guarding.guard->is_commanded(prefix("192.0.2.1")));
  CHECK(guarding.refuses("192.0.2.1") == Refusal::blocked);
  CHECK(!guarding.refuses("192.0.2.2"));
  const auto lifted = guarding.unblock(prefix("192.0.2.1"));
  REQUIRE(lifted);
  CHECK(lifted->configured);
}

TEST_CASE("of several reloads during one, the last applies") {
  Guarding guarding(blocking({}));
  for (int i = 1; i <= 5; ++i) {
    guarding.guard->reload(blocking({"192.0.2." + std::to_string(i)}));
  }
  guarding.finish_reload();
  CHECK(!guarding.refuses("192.0.2.4"));
  CHECK(guarding.refuses("192.0.2.5") == Refusal::blocked);
}

TEST_CASE("a source that does too much is banned, and unblock forgives it") {
  GuardInput input;
  input.bans.bad_hellos_per_minute = 3;
  Guarding guarding(input);
  CHECK(guarding.guard->wait_ms() < 1000);
  const IpAddress source = *parse_ip("2001:db8::1");
  for (int i = 0; i < 3; ++i) guarding.admission.report(source, Conduct::bad_hello);
  guarding.guard->work();
  CHECK(!guarding.refuses("2001:db8::1"));
  guarding.admission.report(source, Conduct::bad_hello);
  guarding.guard->work();
  CHECK(guarding.refuses("2001:db8::1") == Refusal::banned);
  CHECK(guarding.refuses("2001:db8::ffff") == Refusal::banned);
  CHECK(!guarding.refuses("2001:db8:0:1::1"));
  const auto forgiven = guarding.unblock(prefix("2001:db8::1"));
  REQUIRE(forgiven);
  CHECK(forgiven->bans == std::vector{prefix("2001:db8::/64")});
  CHECK(!guarding.refuses("2001:db8::1"));
}

TEST_CASE("sources on the allowlist are not banned, and without limits nothing is reported") {
  GuardInput input;
  input.bans.connections_per_second = 1;
  input.access.allow = {{.prefix = prefix("192.0.2.1"), .until = {}}};
  Guarding guarding(input);
  for (int i = 0; i < 10; ++i)
    guarding.admission.report(*parse_ip("192.0.2.1"), Conduct::connected);
  guarding.guard->work();
  CHECK(!guarding.refuses("192.0.2.1"));
  Guarding unwatched(blocking({}));
  unwatched.admission.report(*parse_ip("192.0.2.1"), Conduct::connected);
  CHECK(unwatched.admission.take_reports().empty());
}

TEST_CASE("bans hold over a reload") {
  GuardInput input;
  input.bans.connections_per_second = 1;
  Guarding guarding(input);
  for (int i = 0; i < 3; ++i) guarding.admission.report(*parse_ip("192.0.2.1"), Conduct::connected);
  guarding.guard->work();
  REQUIRE(guarding.refuses("192.0.2.1") == Refusal::banned);
  guarding.guard->reload(input);
  guarding.finish_reload();
  CHECK(guarding.refuses("192.0.2.1") == Refusal::banned);
}

TEST_CASE("a ban that would reach a proxy before this one is not for the kernel's maps") {
  Config config;
  config.listeners.resize(2);
  config.listeners[0].accept_proxy_from = {prefix("192.0.2.1"), prefix("10.0.0.0/8")};
  config.listeners[1].accept_proxy_from = {prefix("2001:db8::1")};
  const auto proxies = guard_input(config, {}).proxies;
  for (const char* banned : {"192.0.2.1", "10.0.0.7", "2001:db8::/64", "2001:db8::1"}) {
    CHECK_MESSAGE(reaches_proxy(prefix(banned), proxies), banned);
  }
  for (const char* banned : {"192.0.2.2", "11.0.0.7", "2001:db8:0:1::/64", "2001:db8::2"}) {
    CHECK_MESSAGE(!reaches_proxy(prefix(banned), proxies), banned);
  }
}

TEST_CASE("workers can ask while the main thread changes everything") {
  Guarding guarding(blocking({"192.0.2.0/24"}));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::jthread> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back([&] {
      while (!stop) {
        if (guarding.refuses("192.0.2.1") != Refusal::blocked) ++wrong;
        if (guarding.refuses("198.51.100.200")) ++wrong;
        guarding.admission.report(*parse_ip("192.0.2.1"), Conduct::connected);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    const std::string address = "198.51.100." + std::to_string(i);
    REQUIRE(guarding.block(prefix(address), std::nullopt));
    REQUIRE(guarding.block(prefix("203.0.113.0/25"), std::nullopt));
    guarding.guard->reload(blocking({"192.0.2.0/24", "192.0.2.0/25"}));
    REQUIRE(guarding.unblock(prefix("203.0.113.0/25")));
    guarding.guard->work();
  }
  guarding.finish_reload();
  stop = true;
  workers.clear();
  CHECK(wrong == 0);
}
