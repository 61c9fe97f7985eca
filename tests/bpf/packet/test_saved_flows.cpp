#include "bpf/packet/saved_flows.h"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <string>

#include "tests/support/dns_pins.h"
#include "tests/support/own_network.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr unsigned version = 7;

Result<PinDirectory> opened(const UniqueFd& file_system, unsigned wanted = version) {
  return PinDirectory::open("/proc/self/fd/" + std::to_string(file_system.get()) + "/sni-proxy",
                            wanted);
}

}  // namespace

TEST_CASE("texts are read back unchanged, and text that does not fit is cut") {
  SavedFlow flow;
  const std::string name(253, 'n');
  const std::string long_one(2000, 'x');
  flow.set_texts(std::array<std::string_view, saved_texts>{name, "h2", "", "front", long_one});
  CHECK(flow.text(SavedText::server_name) == name);
  CHECK(flow.text(SavedText::alpn) == "h2");
  CHECK(flow.text(SavedText::route).empty());
  CHECK(flow.text(SavedText::listener) == "front");
  CHECK(flow.text(SavedText::backend) == long_one.substr(0, 1024 - 253 - 2 - 5));
}

TEST_CASE("ends that make no sense lead nowhere outside of the bytes") {
  SavedFlow flow;
  flow.ends = {60'000, 3, 2'000, 1'500, 0};
  for (const auto which : {SavedText::server_name, SavedText::alpn, SavedText::route,
                           SavedText::listener, SavedText::backend}) {
    const std::string_view text = flow.text(which);
    CHECK(text.data() >= flow.bytes.data());
    CHECK(text.data() + text.size() <= flow.bytes.data() + flow.bytes.size());
  }
}

TEST_CASE("endpoints are read back with their scope") {
  for (const char* text : {"192.0.2.1:443", "[2001:db8::1]:8443", "[fe80::1%3]:53"}) {
    const Endpoint endpoint = *parse_endpoint(text);
    CHECK(restored(saved(endpoint)) == endpoint);
  }
}

TEST_CASE("the next process finds the flows that were saved and not removed") {
  in_own_network([] {
    const UniqueFd file_system = detached_bpf_fs();
    {
      const auto pins = opened(file_system);
      REQUIRE_MESSAGE(pins, pins.error().what);
      const auto flows = SavedFlows::open(*pins, 3);
      REQUIRE_MESSAGE(flows, flows.error().what);
      CHECK(flows->empty());
      SavedFlow flow;
      for (const std::uint64_t name : {1ULL, 2ULL, 3ULL}) {
        flow.serial = 10 * name;
        REQUIRE(flows->save(name, flow));
      }
      CHECK(flows->save(4, flow).error().sys_errno == E2BIG);
      flows->remove(2);
    }
    const auto pins = opened(file_system);
    REQUIRE_MESSAGE(pins, pins.error().what);
    const auto flows = SavedFlows::open(*pins, 100);
    REQUIRE_MESSAGE(flows, flows.error().what);
    CHECK(!flows->empty());
    std::uint64_t names = 0;
    for (const auto& [name, flow] : flows->all()) {
      CHECK(flow.serial == 10 * name);
      names += name;
    }
    CHECK(names == 1 + 3);
  });
}

TEST_CASE("foreign pins next to the versions are no reason to refuse") {
  in_own_network([] {
    const UniqueFd file_system = detached_bpf_fs();
    REQUIRE(opened(file_system));
    const std::string root = "/proc/" + std::to_string(getpid()) + "/fd/" +
                             std::to_string(file_system.get()) + "/sni-proxy/";
    run_tool("mkdir -p " + root + "vault/inner " + root + "v6");
    CHECK(opened(file_system));  // "v6" is empty.
    run_tool("mkdir -p " + root + "v6/inner");
    CHECK(!opened(file_system));
  });
}

TEST_CASE("a directory that others may write to is refused") {
  in_own_network([] {
    const UniqueFd file_system = detached_bpf_fs();
    REQUIRE(opened(file_system));
    run_tool("chmod 0770 /proc/" + std::to_string(getpid()) + "/fd/" +
             std::to_string(file_system.get()) + "/sni-proxy");
    const auto refused = opened(file_system);
    REQUIRE(!refused);
    CHECK(refused.error().what.find("others may write to it") != std::string::npos);
  });
}
