#pragma once

// A directory on the test's own BPF file system, and the maps pinned there.
//
// The file system is mounted nowhere: only the descriptor of its mount holds it. So the pins end
// with the test however it ends, and machines without /sys/fs/bpf run these tests too.

#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <sys/mount.h>

#include <cerrno>
#include <string>

#include "core/dns/dns_record.h"
#include "core/unique_fd.h"

namespace sni::test {

inline UniqueFd detached_bpf_fs() {
  const auto context = UniqueFd::adopt(::fsopen("bpf", FSOPEN_CLOEXEC));
  REQUIRE_MESSAGE(context, "fsopen bpf: " << errno);
  REQUIRE(::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0);
  auto mounted = UniqueFd::adopt(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  REQUIRE_MESSAGE(mounted, "fsmount bpf: " << errno);
  return mounted;
}

// Where a directory of that file system is reached.
inline std::string path_in(const UniqueFd& file_system, const std::string& name) {
  return "/proc/self/fd/" + std::to_string(file_system.get()) + '/' + name;
}

class DnsPins {
  UniqueFd mount_ = detached_bpf_fs();

 public:
  UniqueFd map(const char* name) const {
    auto fd = UniqueFd::adopt(bpf_obj_get((path + "/" + name).c_str()));
    REQUIRE(fd);
    return fd;
  }

  // Also stores the only record under the hash of another name.
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

  // Does not exist yet: opening the pins makes it.
  const std::string path = path_in(mount_, "pins");
};

}  // namespace sni::test
