#pragma once

// The resolution of one name: the candidates to ask for in turn, and the replies for the current
// one, IPv6 and IPv4 apart. Pure: net/dns/resolver.h sends the questions and reports the replies.
//
// A and AAAA are judged together. Any address makes an answer, whatever happened to the other
// family. Without an address, "not found" takes NXDOMAIN for one family, and "no address" a negative
// reply for both. A negative reply beside a failure is a failure: a retry may succeed and a stale
// answer may be used, whereas a negative answer would be believed and cached.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/dns/resolution.h"

namespace sni {

// What is asked for: addresses of one family, or the targets of a service (SRV).
enum class DnsFamily : std::uint8_t { v6, v4, service };
inline constexpr std::array dns_families{DnsFamily::v6, DnsFamily::v4, DnsFamily::service};

struct DnsReply {
  enum class Status : std::uint8_t {
    found,        // At least one address, or target.
    no_data,      // The name has none of this family.
    no_name,      // NXDOMAIN: it has no address of any family.
    failed,       // SERVFAIL, REFUSED, a reply that cannot be read ...
    unreachable,  // Servers cannot be asked. c-ares before 1.20 also reports failures so.
    silent,       // No server replied in time.
  };
  Status status = Status::unreachable;
  std::vector<IpAddress> addresses;     // At most limits::backend_addresses_max,
  std::vector<ServiceTarget> services;  // and limits::service_targets_max.
  std::uint64_t ttl_ms = 0;
};

class DnsQuestion {
 public:
  // `candidates` is not empty (core/dns/resolv_conf.h). A family that is not wanted counts as one
  // without addresses.
  explicit DnsQuestion(std::vector<std::string> candidates,
                       AddressFamilies families = AddressFamilies::any);
  // For the targets of a service. Search lists do not apply to it.
  static DnsQuestion of_service(std::string name);

  const std::string& candidate() const { return candidates_[current_]; }
  // Whether this family is to be asked for.
  bool wants(DnsFamily family) const;
  void on_reply(DnsFamily family, DnsReply reply);
  // All questions for the current candidate have been answered.
  bool complete() const { return std::ranges::all_of(families_, &Family::replied); }
  bool has_address() const;

  // Valid once complete(). Moves on to the next candidate unless this one gave the answer; false:
  // it did, or there is no other. As in glibc, a server that refuses one candidate does not end the
  // search but turns "not found" into "failed". Unreachable resolvers end it.
  bool advance();

  // The addresses known so far. Without any: why there are none, valid once complete() holds and
  // advance() has returned false.
  Resolution outcome() const;
  // The TTL of an outcome with addresses. At most `failure_ttl_ms` where one family failed, so that
  // it is asked for again soon.
  std::uint64_t ttl_ms(std::uint64_t failure_ttl_ms) const;

 private:
  struct Family {
    bool replied = false;
    DnsReply reply;
  };
  const Family& family(DnsFamily which) const { return families_[static_cast<std::size_t>(which)]; }
  bool any(DnsReply::Status status) const;
  void await_replies();

  std::vector<std::string> candidates_;
  std::size_t current_ = 0;
  AddressFamilies wanted_;
  bool service_ = false;  // Instead of addresses.
  std::array<Family, dns_families.size()> families_;
  bool earlier_failed_ = false;  // A candidate before this one.
  bool earlier_empty_ = false;   // One before this one exists without addresses.
};

}  // namespace sni
