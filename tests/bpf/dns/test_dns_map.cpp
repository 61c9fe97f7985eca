#include "bpf/dns/dns_map.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "bpf/sockhash/sock_fixture.h"
#include "support/dns_pins.h"
#include "support/resolution.h"

using namespace sni;
using namespace sni::test;

namespace {

constexpr std::uint32_t names = 1024;
constexpr DnsContext now{.setup = 1, .flushed_ms = 0, .now_ms = 1'000};
constexpr DnsContext later{.setup = 1, .flushed_ms = 0, .now_ms = 1'099};
const Resolution one = addresses({"192.0.2.1", "2001:db8::1"});

std::string refusal(const std::string& directory) {
  const auto opened = DnsMap::open_pinned(directory, names);
  return opened ? std::string() : opened.error().what;
}

void pin_map(const std::string& path, bpf_map_type type, std::uint32_t value_bytes) {
  const auto map = UniqueFd::adopt(bpf_map_create(type, "other", 8, value_bytes, names, nullptr));
  REQUIRE(map);
  REQUIRE(bpf_obj_pin(map.get(), path.c_str()) == 0);
}

}  // namespace

TEST_CASE("A stored answer is found until it expires") {
  const auto map = must(DnsMap::create(names));
  map.store("www.example", one, now, 100);
  const auto found = map.find("www.example", later);
  REQUIRE(found);
  CHECK(found->resolution == one);
  CHECK(found->left_ms == 1);
  CHECK_FALSE(map.find("www.example", {.setup = 1, .flushed_ms = 0, .now_ms = 1'100}));
  CHECK_FALSE(map.find("ww.example", later));
}

TEST_CASE("Answers without addresses and names that do not fit are not stored") {
  const auto map = must(DnsMap::create(names));
  map.store("gone.example", not_found, now, 100);
  CHECK_FALSE(map.find("gone.example", later));
  const std::string name(256, 'a');
  map.store(name, one, now, 100);
  CHECK_FALSE(map.find(name, later));
}

TEST_CASE("Two maps have keys of their own") {
  CHECK(must(DnsMap::create(names)).fingerprint("x") !=
        must(DnsMap::create(names)).fingerprint("x"));
}

TEST_CASE("A record under the hash of another name is no hit") {
  const DnsPins pins;
  const auto map = must(DnsMap::open_pinned(pins.path, names));
  map.store("a.example", one, now, 100);
  pins.collide("b.example");
  CHECK_FALSE(map.find("b.example", later));
  CHECK(map.find("a.example", later));
}

TEST_CASE("A full map makes room, and its records stay correct") {
  const auto map = must(DnsMap::create(names));
  const auto address = [](unsigned i) {
    return Resolution::of(
        {IpAddress::v4(10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i))});
  };
  unsigned kept = 0;
  for (unsigned i = 0; i < 4 * names; ++i) map.store(std::to_string(i), address(i), now, 100);
  for (unsigned i = 0; i < 4 * names; ++i) {
    const auto found = map.find(std::to_string(i), later);
    kept += found.has_value();
    if (found) CHECK(found->resolution == address(i));
  }
  CHECK(kept > 0);
  CHECK(kept <= names);
}

TEST_CASE("Threads that store and find at once never see one name's addresses under another") {
  const auto map = must(DnsMap::create(names));
  std::atomic<bool> done{false};
  std::atomic<unsigned> wrong{0};
  const auto answer = [](unsigned i) {
    return Resolution::of(std::vector(8, IpAddress::v4(10, 0, 0, static_cast<std::uint8_t>(i))));
  };
  std::vector<std::jthread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      for (unsigned i = 0; !done; i = (i + 1) % 8) {
        const auto found = map.find(std::to_string(i), later);
        if (found && found->resolution != answer(i)) ++wrong;
      }
    });
  }
  // More names than the map holds, so that elements are reused all the time.
  for (unsigned i = 0; i < 40'000; ++i) {
    map.store(std::to_string(i % 8), answer(i % 8), now, 100);
    map.store("filler" + std::to_string(i), answer(99), now, 100);
  }
  done = true;
  readers.clear();
  CHECK(wrong == 0);
}

TEST_CASE("Pinned, the map and its hash key outlive the process that filled it") {
  const DnsPins pins;
  {
    const auto first = must(DnsMap::open_pinned(pins.path, names));
    CHECK_FALSE(first.was_pinned());
    first.store("www.example", one, now, 100);
  }
  const auto second = must(DnsMap::open_pinned(pins.path, 2 * names));
  CHECK(second.was_pinned());
  CHECK(second.find("www.example", later)->resolution == one);
}

TEST_CASE("Records whose key is lost, and a key without records, are replaced by new maps") {
  for (const char* lost : {"/DNS_CACHE_KEY", "/DNS_CACHE"}) {
    const DnsPins pins;
    must(DnsMap::open_pinned(pins.path, names)).store("www.example", one, now, 100);
    REQUIRE(::unlink((pins.path + lost).c_str()) == 0);
    const auto again = must(DnsMap::open_pinned(pins.path, names));
    CHECK_FALSE(again.was_pinned());
    CHECK_FALSE(again.find("www.example", later));
    again.store("www.example", one, now, 100);
    CHECK(must(DnsMap::open_pinned(pins.path, names)).find("www.example", later));
  }
}

TEST_CASE("A pin of another layout or version is refused and left as it is") {
  const DnsPins pins;
  REQUIRE(::mkdir(pins.path.c_str(), 0700) == 0);
  const std::string path = pins.path + "/DNS_CACHE";
  for (const auto& [type, bytes] :
       {std::pair{BPF_MAP_TYPE_LRU_HASH, 400u}, std::pair{BPF_MAP_TYPE_HASH, 424u}}) {
    pin_map(path, type, bytes);
    CHECK(refusal(pins.path).find("another layout") != std::string::npos);
    CHECK(::unlink(path.c_str()) == 0);
  }
  must(DnsMap::open_pinned(pins.path, names));
  const std::uint32_t only = 0;
  const std::array<std::uint64_t, 3> other{99, 0, 0};
  REQUIRE(bpf_map_update_elem(pins.map("DNS_CACHE_KEY").get(), &only, other.data(), BPF_ANY) == 0);
  CHECK(refusal(pins.path).find("another version") != std::string::npos);
}

TEST_CASE("A directory or pin that others own or may write to is refused") {
  const DnsPins pins;
  must(DnsMap::open_pinned(pins.path, names));
  const std::string path = pins.path + "/DNS_CACHE";
  constexpr uid_t nobody = 65'534;
  constexpr const char* foreign = "belongs to another user, or others may write to it";
  REQUIRE(::chmod(path.c_str(), 0622) == 0);
  CHECK(refusal(pins.path).find(foreign) != std::string::npos);
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  REQUIRE(::chown(path.c_str(), nobody, nobody) == 0);
  CHECK(refusal(pins.path).find(foreign) != std::string::npos);
  REQUIRE(::chown(path.c_str(), 0, 0) == 0);
  CHECK(refusal(pins.path).empty());
  REQUIRE(::chmod(pins.path.c_str(), 0777) == 0);
  CHECK(refusal(pins.path).find(foreign) != std::string::npos);
  REQUIRE(::chmod(pins.path.c_str(), 0700) == 0);
  CHECK(refusal(pins.path).empty());
}

TEST_CASE(
    "A directory that is on no BPF file system, or cannot be made, is refused with its name") {
  CHECK(refusal("/tmp").find("the pin directory /tmp is not on a BPF file system") == 0);
  const DnsPins pins;
  CHECK(refusal(pins.path + "/missing/below").find("cannot create the pin directory") == 0);
}
