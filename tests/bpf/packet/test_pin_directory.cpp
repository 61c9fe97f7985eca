#include "bpf/packet/pin_directory.h"

#include <doctest/doctest.h>

#include "tests/support/dns_pins.h"
#include "tests/support/own_network.h"
#include "tests/support/tc_program.h"

using namespace sni;
using namespace sni::test;

TEST_CASE("pins outlive their descriptors and are found by the next process") {
  in_own_network([] {
    const UniqueFd file_system = detached_bpf_fs();
    const std::string path = path_in(file_system, "sni-proxy");
    std::uint32_t id = 0;
    {
      const auto pins = PinDirectory::open(path, 3);
      REQUIRE_MESSAGE(pins, pins.error().what);
      const TcProgram program(tc_act_unspec);
      id = program.map_id();
      REQUIRE(pins->pin(program.map_fd(), "MAP"));
      CHECK(pins->pin(program.map_fd(), "MAP").error().sys_errno == EEXIST);
    }
    const auto pins = PinDirectory::open(path, 3);
    REQUIRE_MESSAGE(pins, pins.error().what);
    CHECK(pins->names() == std::vector<std::string>{"MAP"});
    const auto found = pins->get("MAP");
    REQUIRE(found);
    CHECK(TcProgram(tc_act_unspec, found->get()).map_id() == id);
    CHECK(!pins->get("OTHER"));
    pins->clear();
    CHECK(!pins->get("MAP"));
  });
}

TEST_CASE("pins of another version are refused until they are gone") {
  in_own_network([] {
    const UniqueFd file_system = detached_bpf_fs();
    const std::string path = path_in(file_system, "sni-proxy");
    {
      const auto pins = PinDirectory::open(path, 3);
      REQUIRE(pins);
      REQUIRE(pins->pin(TcProgram(tc_act_unspec).map_fd(), "MAP"));
    }
    {
      const auto newer = PinDirectory::open(path, 4);
      REQUIRE(!newer);
      CHECK(newer.error().what.find("another version (v3, this program has v4)") !=
            std::string::npos);
      CHECK(newer.error().what.find("rm -r " + path + "/v3") != std::string::npos);
    }
    const auto older = PinDirectory::open(path, 3);
    REQUIRE_MESSAGE(older, older.error().what);
    older->remove("MAP");
    // An empty directory of another version does not matter.
    const auto refused = PinDirectory::open(path, 4);
    REQUIRE(!refused);
    CHECK(refused.error().what.ends_with("another process uses it"));
  });
}

TEST_CASE("a directory that no BPF file system holds is refused, and nothing is made there") {
  const auto pins = PinDirectory::open("/tmp/sni-no-bpffs", 1);
  REQUIRE(!pins);
  CHECK(pins.error().what.find("/tmp is no BPF file system") != std::string::npos);
  CHECK(access("/tmp/sni-no-bpffs", F_OK) != 0);
}
