#include "core/dns/dns_question.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace sni {

DnsQuestion::DnsQuestion(std::vector<std::string> candidates, AddressFamilies families)
    : candidates_(std::move(candidates)), wanted_(families) {
  assert(!candidates_.empty());
  await_replies();
}

DnsQuestion DnsQuestion::of_service(std::string name) {
  DnsQuestion question({std::move(name)});
  question.service_ = true;
  question.await_replies();
  return question;
}

bool DnsQuestion::wants(DnsFamily family) const {
  if (service_ || family == DnsFamily::service) return service_ == (family == DnsFamily::service);
  return wanted_ != (family == DnsFamily::v6 ? AddressFamilies::ipv4 : AddressFamilies::ipv6);
}

void DnsQuestion::await_replies() {
  for (const DnsFamily each : dns_families) {
    families_[static_cast<std::size_t>(each)] = {.replied = !wants(each),
                                                 .reply = {.status = DnsReply::Status::no_data}};
  }
}

void DnsQuestion::on_reply(DnsFamily which, DnsReply reply) {
  assert((reply.status == DnsReply::Status::found) ==
         !(reply.addresses.empty() && reply.services.empty()));
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
  if (has_address() || any(DnsReply::Status::unreachable) || any(DnsReply::Status::silent)) {
    return false;
  }
  if (current_ + 1 == candidates_.size()) return false;
  const bool denied = any(DnsReply::Status::no_name);
  if (!denied) (any(DnsReply::Status::failed) ? earlier_failed_ : earlier_empty_) = true;
  ++current_;
  await_replies();
  return true;
}

Resolution DnsQuestion::outcome() const {
  using Status = DnsReply::Status;
  if (service_ && has_address()) {
    return Resolution::of_service(family(DnsFamily::service).reply.services);
  }
  if (has_address()) {
    return Resolution::of(family(DnsFamily::v6).reply.addresses,
                          family(DnsFamily::v4).reply.addresses, wanted_);
  }
  const bool denied = any(Status::no_name);
  const bool empty =
      complete() && !any(Status::failed) && !any(Status::unreachable) && !any(Status::silent);
  if ((denied || empty) && !earlier_failed_) {
    return {.status = denied && !earlier_empty_ ? Resolution::Status::not_found
                                                : Resolution::Status::no_address};
  }
  // Refused and unparsable replies count as answers.
  const bool silent = any(Status::silent) && !any(Status::failed) && !earlier_failed_;
  return {.status = silent ? Resolution::Status::unanswered : Resolution::Status::failed};
}

std::uint64_t DnsQuestion::ttl_ms(std::uint64_t failure_ttl_ms) const {
  std::uint64_t ttl_ms = std::numeric_limits<std::uint64_t>::max();
  for (const Family& family : families_) {
    const bool found = family.replied && family.reply.status == DnsReply::Status::found;
    if (found) ttl_ms = std::min(ttl_ms, family.reply.ttl_ms);
    if (!family.replied || family.reply.status == DnsReply::Status::failed ||
        family.reply.status == DnsReply::Status::unreachable ||
        family.reply.status == DnsReply::Status::silent) {
      ttl_ms = std::min(ttl_ms, failure_ttl_ms);
    }
  }
  return ttl_ms;
}

}  // namespace sni
