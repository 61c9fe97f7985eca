#pragma once

// One complete set of the kernel's guard maps, filled, and not in use yet or any more.
//
// It can be built in any thread while the program uses another one; XdpFilter then switches to it
// at once. Changes affect only the generation to which they are applied.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "bpf/xdp/xdp_shared.h"
#include "core/error.h"
#include "core/guard/guard_bans.h"
#include "core/guard/guard_entry.h"
#include "core/unique_fd.h"

namespace sni {

// The part of the configuration that the program needs.
struct XdpSettings {
  bool default_deny = false;        // Listeners serve only the allowlist.
  bool block_listeners = false;     // Blocks cover the listeners only, not every packet.
  std::uint8_t ban_length_v6 = 64;  // Bits.
  std::vector<std::uint16_t> listener_ports;
};

struct XdpHits {
  IpPrefix prefix;
  std::uint64_t packets = 0;  // Dropped since the generation was made.
  bool ban = false;
};

class XdpGeneration {
 public:
  // `addresses` and `prefixes` as GuardList derives them.
  static Result<XdpGeneration> create(const XdpSettings& settings,
                                      std::span<const GuardEntry> addresses,
                                      std::span<const GuardEntry> prefixes);
  XdpGeneration(XdpGeneration&&) = default;
  XdpGeneration& operator=(XdpGeneration&&) = default;

  Result<void> apply(const GuardChange& change);
  Result<void> ban(const Ban& ban);
  void unban(const IpPrefix& source);

  // Entries that dropped at least one packet.
  std::vector<XdpHits> hits() const;
  // Deletes some entries of a generation that is no longer used; false once none is left. The
  // kernel frees a whole trie in one long walk that stalls a CPU. It frees all entries deleted
  // within one grace period in one callback, and maps that are closed together at the same time.
  // Call this with pauses before destroying a big generation.
  bool drain_some();

 private:
  friend class XdpFilter;
  // Where packets dropped by prefixes are counted, mapped from the kernel.
  struct HitCounters {
    HitCounters() = default;
    HitCounters(HitCounters&& other) noexcept;
    HitCounters& operator=(HitCounters&& other) noexcept;
    ~HitCounters();
    std::uint64_t sum(std::uint32_t slot) const;
    void clear(std::uint32_t slot) const;

    // Also written by the kernel.
    volatile std::uint64_t& at(std::size_t index) const {
      return static_cast<volatile std::uint64_t*>(mapped)[index];
    }

    void* mapped = nullptr;
    std::size_t bytes = 0;
    std::uint32_t per_cpu = 0;
    std::uint32_t cpus = 0;
  };

  // The maps of one address family.
  struct Family {
    std::array<UniqueFd, GUARD_SHARDS> exact;
    UniqueFd prefixes;
    UniqueFd bans;
  };

  XdpGeneration() = default;
  Result<void> make_family(Family& family, bool v4, std::span<const GuardEntry> addresses,
                           std::size_t prefixes);
  Result<void> make_counters(std::size_t prefixes);
  Result<void> set_address(const IpAddress& address, const GuardTerm& term, std::uint64_t hits);
  Result<void> set_prefix(const IpPrefix& prefix, const GuardTerm& term);
  void erase(const IpPrefix& prefix);
  std::uint32_t take_slot(const IpPrefix& prefix);
  std::uint64_t hits_in_entry(const IpPrefix& prefix) const;
  const Family& family_of(const IpPrefix& prefix) const { return is_v4_prefix(prefix) ? v4_ : v6_; }

  Family v4_;
  Family v6_;
  UniqueFd prefix_hits_;
  guard_settings settings_{};
  HitCounters counters_;
  std::map<IpPrefix, std::uint32_t> slots_;  // 0: without per-CPU counters of its own.
  std::vector<std::uint32_t> free_slots_;
};

}  // namespace sni
