#pragma once

// The map DNS_CACHE, the resolver's second level: what one worker has learnt the others find, and
// with a pin directory it outlives the process, so that a restart does not begin with a question
// per name. It is looked up with a system call, by no program.
//
// The key is a hash of the name under a random key: clients choose names, and must not be able to
// choose collisions. The hash key stands beside it in the map DNS_CACHE_KEY and is pinned with it,
// or the records could not be found again. The kernel makes room for new names by dropping those
// that were stored longest ago. All calls may come from any thread.

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
  // The maps that are pinned in the directory of a BPF file system, or new ones that are pinned
  // there. The directory is made if it is missing; it and the pins must be ours or root's, and
  // nobody else's to write to. Pins of another layout are refused.
  static Result<DnsMap> open_pinned(const std::string& directory, std::uint32_t names_max);

  std::optional<KeptAnswer> find(std::string_view name, const DnsContext& context) const;
  // Answers without addresses and names that are too long are not stored.
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
