#include "net/dns/dns_channels.h"

#include <algorithm>

#include "core/limits.h"

namespace sni {

Result<std::unique_ptr<DnsChannels>> DnsChannels::create(const DnsConfig& config,
                                                         const std::vector<Endpoint>& servers,
                                                         ResolverIo& io, std::uint32_t& watch_ids) {
  std::unique_ptr<DnsChannels> channels(new DnsChannels(config, servers, io, watch_ids));
  if (auto added = channels->add(); !added) return std::unexpected(std::move(added.error()));
  return channels;
}

Result<void> DnsChannels::add() {
  auto channel = DnsChannel::create(config_, servers_, io_, watch_ids_);
  if (!channel) return std::unexpected(std::move(channel.error()));
  members_.push_back({.channel = std::move(*channel)});
  return {};
}

DnsChannels::Member& DnsChannels::choose() {
  const auto idle = std::ranges::find(members_, 0u, &Member::under_way);
  if (idle != members_.end()) return *idle;
  if (members_.size() < limits::dns_channels_max && add()) return members_.back();
  // Channels that take no more come last.
  return *std::ranges::min_element(members_, {}, [](const Member& member) {
    const bool full = member.taken >= limits::dns_channel_questions;
    return std::pair(full, member.under_way);
  });
}

void DnsChannels::ask(const DnsQuestion& asked, std::uint64_t tag) {
  Member& member = choose();
  if (member.under_way == 0) member.taken = 0;
  ++member.taken;
  for (const DnsFamily family : dns_families) {
    if (!asked.wants(family)) continue;
    ++member.under_way;
    member.channel->ask(asked.candidate(), family, tag);
  }
}

std::vector<DnsChannel::TaggedReply> DnsChannels::take_replies() {
  std::vector<DnsChannel::TaggedReply> all;
  for (Member& member : members_) {
    if (member.under_way == 0) continue;
    auto replies = member.channel->take_replies();
    member.under_way -= static_cast<std::uint32_t>(replies.size());
    if (all.empty()) {
      all = std::move(replies);
    } else {
      std::ranges::move(replies, std::back_inserter(all));
    }
  }
  return all;
}

void DnsChannels::on_ready(std::uint32_t watch_id, bool readable, bool writable) {
  for (Member& member : members_) {
    if (member.channel->on_ready(watch_id, readable, writable)) return;
  }
}

std::optional<std::uint64_t> DnsChannels::next_deadline_ms(std::uint64_t now_ms) {
  std::optional<std::uint64_t> first;
  for (Member& member : members_) {
    if (member.under_way == 0) continue;
    const auto deadline = member.channel->next_deadline_ms(now_ms);
    if (deadline && (!first || *deadline < *first)) first = deadline;
  }
  return first;
}

void DnsChannels::on_tick() {
  for (Member& member : members_) {
    if (member.under_way != 0) member.channel->on_tick();
  }
}

}  // namespace sni
