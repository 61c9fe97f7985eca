#pragma once

// One name on its way through the resolvers: the candidates to ask for in turn, and what came back
// for the present one, IPv6 and IPv4 apart. Pure: net/dns/resolver.h asks and tells it the replies.
//
// A and AAAA are judged together. Any address makes an answer, whatever became of the other family.
// Without one, "no such address" needs both families to say so (or one to say that there is no such
// name): half an answer beside a failure is a failure, which a retry may heal and a stale answer
// may cover, where a negative answer would be believed and cached.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/dns/resolution.h"

namespace sni {

// What is asked for of a name: addresses of one family, or where its service is (SRV).
enum class DnsFamily : std::uint8_t { v6, v4, service };
inline constexpr std::array dns_families{DnsFamily::v6, DnsFamily::v4, DnsFamily::service};

struct DnsReply {
  enum class Status : std::uint8_t {
    found,        // At least one address, or target.
    no_data,      // The name has none of this family.
    no_name,      // NXDOMAIN: of no family.
    failed,       // SERVFAIL, REFUSED, a reply that cannot be read ...
    unreachable,  // Servers cannot be asked. c-ares before 1.20 says so of those that fail, too.
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
  // that the name has no address of.
  explicit DnsQuestion(std::vector<std::string> candidates,
                       AddressFamilies families = AddressFamilies::any);
  // For the targets of a service, which no search list completes.
  static DnsQuestion of_service(std::string name);

  const std::string& candidate() const { return candidates_[current_]; }
  // Whether this family is to be asked for.
  bool wants(DnsFamily family) const;
  void on_reply(DnsFamily family, DnsReply reply);
  // All that was asked for of the present candidate has been replied to.
  bool complete() const { return std::ranges::all_of(families_, &Family::replied); }
  bool has_address() const;

  // complete() only. Moves on to the next candidate where this one is no answer; false: there is
  // none, or this one is the answer. As in glibc, a server that refuses one candidate does not end
  // the search but turns "not found" into "failed"; resolvers out of reach do end it.
  bool advance();

  // The addresses known so far; without any: not_found, failed or unanswered, once complete() and
  // not advance().
  Resolution outcome() const;
  // Of an outcome with addresses. Where one family failed, at most `failure_ttl_ms`: it is asked
  // again soon.
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
  bool service_ = false;  // In place of addresses.
  std::array<Family, dns_families.size()> families_;
  bool earlier_failed_ = false;  // A candidate before this one.
};

}  // namespace sni
