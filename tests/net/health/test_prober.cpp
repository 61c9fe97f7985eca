// The prober with real sockets on loopback, driven like by the main thread.

#include "net/health/prober.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/checked_backends.h"
#include "support/dns_server.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("a backend that refuses is down, and up again when it serves") {
  Checked checked;
  auto listening = std::make_unique<Listening>();
  const Endpoint endpoint = listening->endpoint;
  listening.reset();
  const HealthTarget target = checked.target(endpoint);
  checked.check({target});
  REQUIRE(checked.until([&] { return checked.held(endpoint); }));
  const auto down = checked.prober->summary(target.backend->id);
  REQUIRE(down.has_value());
  CHECK(down->up == 0);
  CHECK(down->known == 1);
  CHECK(down->reason == "Connection refused");
  Listening back(endpoint.port);
  CHECK(checked.until([&] { return !checked.held(endpoint); }, &back));
  CHECK(checked.prober->summary(target.backend->id)->up == 1);
}

TEST_CASE("what this host lacks says nothing of a backend") {
  Checked checked;
  Listening peer;
  const HealthTarget target = checked.target(peer.endpoint);
  checked.check({target});
  const auto up = [&] { return checked.prober->summary(target.backend->id)->up == 1; };
  REQUIRE(checked.until(up, &peer));
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const std::uint64_t end = now_ms() + 600;  // Six checks, of which two would be enough.
  CHECK(checked.until([&] { return now_ms() >= end || checked.held(peer.endpoint); }));
  CHECK(!checked.held(peer.endpoint));
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(up());
}

TEST_CASE("a TLS check passes on any answer except an alert, and fails on silence") {
  for (const auto& [answer, healthy] : {std::pair<std::string, bool>{"\x16\x03\x03", true},
                                        {"HTTP/1.1 400", true},
                                        {"\x15\x03\x01\x00\x02\x02\x70", false},
                                        {"", false}}) {
    Checked checked;
    Listening peer;
    peer.answer = answer;
    const HealthTarget target = checked.target(peer.endpoint, HealthCheck::tls);
    checked.check({target});
    const auto known = [&] {
      const auto summary = checked.prober->summary(target.backend->id);
      return summary->known == 1 && (healthy || checked.held(peer.endpoint));
    };
    CHECK(checked.until(known, &peer));
    CHECK(checked.held(peer.endpoint) == !healthy);
    CHECK(peer.heard.find("a.example") != std::string::npos);
  }
}

TEST_CASE("a backend that expects a PROXY header gets one without a client") {
  Checked checked;
  Listening peer;
  HealthTarget target = checked.target(peer.endpoint);
  target.send_proxy = ProxyVersion::v2;
  checked.check({target});
  REQUIRE(checked.until([&] { return peer.heard.size() >= 16; }, &peer));
  CHECK(peer.heard.substr(0, 12) == std::string("\r\n\r\n\0\r\nQUIT\n", 12));
  CHECK(peer.heard[12] == '\x20');  // Version 2, LOCAL.
}

TEST_CASE("in version 1 that header has the ends of the check itself") {
  Checked checked;
  Listening peer;
  HealthTarget target = checked.target(peer.endpoint);
  target.send_proxy = ProxyVersion::v1;
  checked.check({target});
  const auto whole = [&] { return peer.heard.find("\r\n") != std::string::npos; };
  REQUIRE(checked.until(whole, &peer));
  const std::string line = peer.heard.substr(0, peer.heard.find("\r\n"));
  CHECK(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
  CHECK(line.ends_with(" " + std::to_string(peer.endpoint.port)));
  CHECK(line.find(" 0 ") == std::string::npos);
}

TEST_CASE("the state of a backend survives a reload, and ends with its checks") {
  Checked checked;
  auto listening = std::make_unique<Listening>();
  const Endpoint endpoint = listening->endpoint;
  listening.reset();
  const HealthTarget target = checked.target(endpoint);
  checked.check({target});
  REQUIRE(checked.until([&] { return checked.held(endpoint); }));
  checked.check({target});
  CHECK(checked.held(endpoint));
  CHECK(checked.prober->summary(target.backend->id)->known == 1);
  checked.check({});
  CHECK_FALSE(checked.held(endpoint));
  CHECK_FALSE(checked.prober->summary(target.backend->id).has_value());
}

TEST_CASE("the addresses of a name are checked separately") {
  Checked checked;
  Listening peer;
  HealthTarget target = checked.target(peer.endpoint);
  target.backend =
      checked.backends.intern(*parse_backend("localhost:" + std::to_string(peer.endpoint.port)));
  checked.check({target});
  const Endpoint v6{.ip = *parse_ip("::1"), .port = peer.endpoint.port};
  REQUIRE(checked.until([&] { return checked.held(v6); }, &peer));
  CHECK_FALSE(checked.held(peer.endpoint));
  const auto summary = checked.prober->summary(target.backend->id);
  CHECK(summary->up == 1);
  CHECK(summary->known == 2);
}

namespace {

const std::string service = "_https._tcp.example.internal";

// A service whose targets are addresses by DNS.
struct Service {
  using Target = std::pair<std::string, std::uint16_t>;

  Service() {
    config.servers = {server.endpoint()};
    config.ttl_min = 0ms;
    config.ttl_max = 1h;
  }
  void lead_to(const std::vector<Target>& targets, std::uint32_t ttl_s) {
    test::DnsAnswer answer;
    for (const auto& [name, port] : targets) {
      answer.records.push_back(
          {.type = test::DnsType::srv, .data = name, .ttl_s = ttl_s, .port = port});
    }
    server.set(service, test::DnsType::srv, std::move(answer));
  }

  test::DnsServer server;
  DnsConfig config;
};

std::vector<std::uint16_t> ports_of(const HealthSummary& summary) {
  std::vector<std::uint16_t> ports;
  for (const auto& each : summary.addresses) ports.push_back(each.endpoint.port);
  std::ranges::sort(ports);
  return ports;
}

}  // namespace

TEST_CASE("the targets of a service are checked at their own ports, as its records change") {
  Checked checked;
  Listening up;
  auto gone = std::make_unique<Listening>();
  const Endpoint down = gone->endpoint;
  gone.reset();
  Service records;
  records.server.set_addresses("a.internal", {"127.0.0.1"});
  records.lead_to({{"a.internal", up.endpoint.port}, {"a.internal", down.port}}, 1);
  HealthTarget target = checked.target(up.endpoint);
  target.backend = checked.backends.intern(*parse_backend("srv:" + service));
  checked.check({target}, records.config);
  const auto summary = [&] { return *checked.prober->summary(target.backend->id); };
  REQUIRE(checked.until([&] { return checked.held(down) && summary().known == 2; }, &up));
  CHECK_FALSE(checked.held(up.endpoint));
  CHECK(summary().up == 1);
  CHECK(summary().addresses.size() == 2);
  // A target that leaves takes its state with it, once the records have expired.
  records.lead_to({{"a.internal", up.endpoint.port}}, 1);
  REQUIRE(checked.until([&] { return summary().addresses.size() == 1; }, &up));
  CHECK(ports_of(summary()) == std::vector{up.endpoint.port});
  CHECK_FALSE(checked.held(down));
}

TEST_CASE("without an answer the known targets of a service are still checked") {
  Checked checked;
  auto listening = std::make_unique<Listening>();
  const Endpoint endpoint = listening->endpoint;
  Service records;
  records.server.set_addresses("a.internal", {"127.0.0.1"}, 0);
  records.lead_to({{"a.internal", endpoint.port}}, 0);
  records.config.stale = 0ms;
  HealthTarget target = checked.target(endpoint);
  target.backend = checked.backends.intern(*parse_backend("srv:" + service));
  checked.check({target}, records.config);
  const auto summary = [&] { return *checked.prober->summary(target.backend->id); };
  REQUIRE(checked.until([&] { return summary().known == 1; }, listening.get()));
  records.server.set("a.internal", {.rcode = test::DnsAnswer::server_failure});
  REQUIRE(checked.until([&] { return summary().reason.ends_with("has no address now"); },
                        listening.get()));
  records.server.set(service, test::DnsType::srv, {.rcode = test::DnsAnswer::server_failure});
  listening.reset();
  CHECK(checked.until([&] { return checked.held(endpoint); }));
}

TEST_CASE("an address that several backends lead to is checked once, as the first of them says") {
  Checked checked;
  Listening peer;
  peer.answer = "\x15\x03\x01";  // Refuses TLS, but takes connections.
  Service records;
  records.server.set_addresses("a.internal", {"127.0.0.1"});
  records.lead_to({{"a.internal", peer.endpoint.port}}, 300);
  const HealthTarget by_address = checked.target(peer.endpoint);
  HealthTarget by_service = checked.target(peer.endpoint, HealthCheck::tls);
  by_service.backend = checked.backends.intern(*parse_backend("srv:" + service));
  HealthTarget by_name = by_service;
  by_name.backend =
      checked.backends.intern(*parse_backend("a.internal:" + std::to_string(peer.endpoint.port)));
  checked.check({by_name, by_service, by_address}, records.config);
  const auto known = [&](const HealthTarget& target) {
    return checked.prober->summary(target.backend->id)->known == 1;
  };
  const auto all_known = [&] { return known(by_address) && known(by_service) && known(by_name); };
  REQUIRE(checked.until(all_known, &peer));
  // Another one's check may have begun before the first one's.
  const auto meets = [&](std::size_t more) {
    const std::size_t enough = peer.connections.size() + more;
    return checked.until([&] { return peer.connections.size() >= enough; }, &peer);
  };
  REQUIRE(meets(2));
  peer.heard.clear();
  REQUIRE(meets(2));
  CHECK(peer.heard.empty());
  CHECK_FALSE(checked.held(peer.endpoint));
  // When the first one leaves, the next one's settings hold.
  checked.check({by_name, by_service}, records.config);
  CHECK(checked.until([&] { return checked.held(peer.endpoint); }, &peer));
  CHECK(checked.prober->summary(by_name.backend->id)->up == 0);
  checked.check({}, records.config);
  CHECK_FALSE(checked.held(peer.endpoint));
}
