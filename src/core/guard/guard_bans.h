#pragma once

// Bans that the proxy makes itself. Each repetition doubles the duration of a ban, up to a bound. A
// source that has behaved for as long as the longest ban is forgiven. IPv6 sources are banned by
// prefix, since one subscriber has a whole /64 to send from.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/guard/guard_entry.h"

namespace sni {

struct BanPolicy {
  std::uint32_t first_s = 60;
  std::uint32_t longest_s = 86'400;
  std::uint8_t ipv6_length = 64;  // Bits, 1..128.
  auto operator<=>(const BanPolicy&) const = default;
};

struct Ban {
  IpPrefix source;
  GuardTime until = 0;
};

class BanTable {
 public:
  explicit BanTable(const BanPolicy& policy) : policy_(policy) {}

  // The source that an address counts as.
  IpPrefix source_of(const IpAddress& address) const;
  bool is_banned(const IpAddress& address, GuardTime now) const;

  // nullopt: the table is full, and the source is not banned.
  std::optional<Ban> ban(const IpAddress& address, GuardTime now);
  // Lifts and forgives every ban inside or around `prefix`.
  std::vector<IpPrefix> lift(const IpPrefix& prefix);
  // The bans that have ended since the last call; forgives what is due.
  std::vector<IpPrefix> expire(GuardTime now);
  // Adopts `policy` for further bans. Bans of IPv6 sources with another prefix length are
  // forgotten.
  void adopt(const BanPolicy& policy);

  std::vector<Ban> live(GuardTime now) const;

 private:
  struct Record {
    GuardTime until = 0;
    std::uint32_t duration_s = 0;
    bool over = false;  // Its end has been reported; kept to recognise a repetition.
  };

  BanPolicy policy_;
  std::unordered_map<IpAddress, Record> records_;  // By the base of the source.
};

}  // namespace sni
