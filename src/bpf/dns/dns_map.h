#pragma once

// The map DNS_CACHE, the resolver's second-level cache. All workers share it. With a pin directory
// it outlives the process, so that a restart does not begin with a question per name. Lookups are
// system calls; no BPF program uses the map.
//
// The key is a hash of the name under a random key: clients choose names, and must not be able to
// choose collisions. The hash key is in the map DNS_CACHE_KEY and is pinned with it, or the records
// could not be found again. The kernel makes room for new names by evicting those stored longest
// ago. Thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/dns/dns_record.h"
#include "core/error.h"
#include "core/siphash.h"
#include "core/unique_fd.h"

namespace sni {

class DnsMap {
 public:
  static Result<DnsMap> create(std::uint32_t names_max);
  // Opens the maps pinned in a directory of a BPF file system, or creates and pins them there. A
  // missing directory is made. It and the pins must belong to us or root and be writable by nobody
  // else. Pins of another layout are refused.
  static Result<DnsMap> open_pinned(const std::string& directory, std::uint32_t names_max);

  std::optional<KeptAnswer> find(std::string_view name, const DnsContext& context) const;
  // Does not store answers without addresses or names that are too long.
  void store(std::string_view name, const Resolution& answer, const DnsContext& context,
             std::uint64_t kept_ms) const;

  // For DnsContext::setup.
  std::uint64_t fingerprint(std::string_view text) const { return siphash(key_, text); }
  bool was_pinned() const { return was_pinned_; }  // By an earlier process.

 private:
  DnsMap() = default;
  static Result<std::optional<DnsMap>> find_pinned(const std::string& directory, int directory_fd);
  Result<bool> pin(const std::string& directory) const;

  UniqueFd records_;
  UniqueFd key_map_;
  SipKey key_{};
  bool was_pinned_ = false;
};

}  // namespace sni
