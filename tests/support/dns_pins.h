#pragma once

// A directory of its own on the BPF file system for one test, and the maps that are pinned there.

#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "core/dns/dns_record.h"
#include "core/unique_fd.h"

namespace sni::test {

class DnsPins {
 public:
  ~DnsPins() {
    for (const char* map : {"/DNS_CACHE", "/DNS_CACHE_KEY"}) ::unlink((path + map).c_str());
    ::rmdir(path.c_str());
  }

  UniqueFd map(const char* name) const {
    auto fd = UniqueFd::adopt(bpf_obj_get((path + "/" + name).c_str()));
    REQUIRE(fd);
    return fd;
  }

  // Puts the one record that is there under the hash of another name too.
  void collide(std::string_view other) const {
    const UniqueFd records = map("DNS_CACHE");
    std::uint64_t hash = 0;
    DnsRecord record{};
    REQUIRE(bpf_map_get_next_key(records.get(), nullptr, &hash) == 0);
    REQUIRE(bpf_map_lookup_elem(records.get(), &hash, &record) == 0);
    struct {
      std::uint64_t version;
      SipKey key;
    } key{};
    const std::uint32_t only = 0;
    REQUIRE(bpf_map_lookup_elem(map("DNS_CACHE_KEY").get(), &only, &key) == 0);
    hash = siphash(key.key, other);
    REQUIRE(bpf_map_update_elem(records.get(), &hash, &record, BPF_ANY) == 0);
  }

  const std::string path = "/sys/fs/bpf/sni_test_dns_" + std::to_string(::getpid());
};

}  // namespace sni::test
