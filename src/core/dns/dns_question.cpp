#include "core/dns/dns_question.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace sni {

DnsQuestion::DnsQuestion(std::vector<std::string> candidates) : candidates_(std::move(candidates)) {
  assert(!candidates_.empty());
}

void DnsQuestion::on_reply(DnsFamily which, DnsReply reply) {
  assert((reply.status == DnsReply::Status::found) == !reply.addresses.empty());
  families_[static_cast<std::size_t>(which)] = {.replied = true, .reply = std::move(reply)};
}

bool DnsQuestion::any(DnsReply::Status status) const {
  return std::ranges::any_of(families_, [status](const Family& family) {
    return family.replied && family.reply.status == status;
  });
}

bool DnsQuestion::has_address() const {
  return any(DnsReply::Status::found);
}

bool DnsQuestion::advance() {
  assert(complete());
  if (has_address() || any(DnsReply::Status::unreachable)) return false;
  if (current_ + 1 == candidates_.size()) return false;
  if (any(DnsReply::Status::failed) && !any(DnsReply::Status::no_name)) earlier_failed_ = true;
  ++current_;
  families_ = {};
  return true;
}

Resolution DnsQuestion::outcome() const {
  using Status = DnsReply::Status;
  if (has_address()) {
    return Resolution::in_turns(family(DnsFamily::v6).reply.addresses,
                                family(DnsFamily::v4).reply.addresses);
  }
  const bool denied =
      any(Status::no_name) || (complete() && !any(Status::failed) && !any(Status::unreachable));
  return {.status = denied && !earlier_failed_ ? Resolution::Status::not_found
                                               : Resolution::Status::failed};
}

std::uint64_t DnsQuestion::ttl_ms(std::uint64_t failure_ttl_ms) const {
  std::uint64_t ttl_ms = std::numeric_limits<std::uint64_t>::max();
  for (const Family& family : families_) {
    const bool found = family.replied && family.reply.status == DnsReply::Status::found;
    if (found) ttl_ms = std::min(ttl_ms, family.reply.ttl_ms);
    if (!family.replied || family.reply.status == DnsReply::Status::failed ||
        family.reply.status == DnsReply::Status::unreachable) {
      ttl_ms = std::min(ttl_ms, failure_ttl_ms);
    }
  }
  return ttl_ms;
}

}  // namespace sni
