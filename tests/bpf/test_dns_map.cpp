#include "bpf/dns_map.h"

#include <unistd.h>

#include <string>

#include "sock_fixture.h"

using namespace sni;
using namespace sni::test;

namespace {

DnsMap::Answer answer(std::uint64_t expires_s, std::initializer_list<IpAddress> addresses) {
  DnsMap::Answer made{.resolution = {.status = Resolution::Status::ok}, .expires_s = expires_s};
  for (const auto& address : addresses) made.resolution.add(address);
  return made;
}

const IpAddress first = {{32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const IpAddress second = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7}};

// Removes what a test pinned, however it ends.
struct PinDirectory {
  std::string path = "/sys/fs/bpf/sni_test_dns_" + std::to_string(::getpid());
  ~PinDirectory() {
    for (const char* map : {"/DNS_CACHE", "/DNS_CACHE_KEY"}) ::unlink((path + map).c_str());
    ::rmdir(path.c_str());
  }
};

}  // namespace

TEST_CASE("A stored answer is found until it expires") {
  SockFixture fixture(1);
  const auto dns = must(DnsMap::open(*fixture.sockhash));
  dns.store("www.example", answer(100, {first, second}));
  const auto found = dns.find("www.example", 99);
  REQUIRE(found);
  CHECK(found->resolution == answer(100, {first, second}).resolution);
  CHECK(found->expires_s == 100);
  CHECK_FALSE(dns.find("www.example", 100));
  CHECK_FALSE(dns.find("ww.example", 99));
}

TEST_CASE("A record under the right hash with another name is no hit") {
  SockFixture fixture(1);
  const auto dns = must(DnsMap::open(*fixture.sockhash));
  dns.store("a.example", answer(100, {first}));
  const int map = fixture.sockhash->map_fd("DNS_CACHE");
  std::uint64_t key = 0;
  dns_record record{};
  REQUIRE(bpf_map_get_next_key(map, nullptr, &key) == 0);
  REQUIRE(bpf_map_lookup_elem(map, &key, &record) == 0);
  record.name[0] = 'b';
  REQUIRE(bpf_map_update_elem(map, &key, &record, BPF_ANY) == 0);
  CHECK_FALSE(dns.find("a.example", 1));
  CHECK_FALSE(dns.find("b.example", 1));
}

TEST_CASE("A record that claims more addresses than there can be is read within its bounds") {
  SockFixture fixture(1);
  const auto dns = must(DnsMap::open(*fixture.sockhash));
  dns.store("a.example", answer(100, {first}));
  const int map = fixture.sockhash->map_fd("DNS_CACHE");
  std::uint64_t key = 0;
  dns_record record{};
  REQUIRE(bpf_map_get_next_key(map, nullptr, &key) == 0);
  REQUIRE(bpf_map_lookup_elem(map, &key, &record) == 0);
  record.count = 4'000'000'000;
  REQUIRE(bpf_map_update_elem(map, &key, &record, BPF_ANY) == 0);
  CHECK(dns.find("a.example", 1)->resolution.count == DNS_ADDRESSES_MAX);
}

TEST_CASE("Answers without addresses and names that do not fit are not stored") {
  SockFixture fixture(1);
  const auto dns = must(DnsMap::open(*fixture.sockhash));
  dns.store("gone.example",
            {.resolution = {.status = Resolution::Status::not_found}, .expires_s = 9});
  CHECK_FALSE(dns.find("gone.example", 1));
  const std::string name(DNS_NAME_BYTES, 'a');
  dns.store(name, answer(9, {first}));
  CHECK_FALSE(dns.find(name, 1));
}

TEST_CASE("Pinned, the cache and its hash key outlive the process that filled it") {
  const PinDirectory directory;
  const SockhashOptions options{.slots = 1, .dns_pin_directory = directory.path};
  {
    const auto sockhash = must(Sockhash::load(options));
    must(DnsMap::open(*sockhash)).store("www.example", answer(100, {first}));
  }
  const auto sockhash = must(Sockhash::load(options));
  CHECK(must(DnsMap::open(*sockhash)).find("www.example", 1));
}
