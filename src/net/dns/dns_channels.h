#pragma once

// The DNS channels of one resolver. c-ares before 1.20 keeps one UDP port per channel as long as
// any question is under way. On a single channel under steady load a forger would have to guess
// only the 16-bit id (RFC 5452 section 4.5). So a question goes to an idle channel, whose port will
// be new, if there is one. When limits::dns_channels_max channels are busy, questions share a
// channel. A channel that has taken limits::dns_channel_questions in a row takes no more until it
// has answered all and closed its port. If all channels are in that state, questions go to the one
// with the fewest under way.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/dns/dns_channel.h"

namespace sni {

class DnsChannels {
 public:
  // As DnsChannel::create(); the first channel is opened at once, the others when they are needed.
  static Result<std::unique_ptr<DnsChannels>> create(const DnsConfig& config,
                                                     const std::vector<Endpoint>& servers,
                                                     ResolverIo& io, std::uint32_t& watch_ids);

  // One TaggedReply will follow for each family that `asked` wants of its current candidate.
  void ask(const DnsQuestion& asked, std::uint64_t tag);
  std::vector<DnsChannel::TaggedReply> take_replies();
  void on_ready(std::uint32_t watch_id, bool readable, bool writable);
  std::optional<std::uint64_t> next_deadline_ms(std::uint64_t now_ms);
  void on_tick();

 private:
  struct Member {
    std::unique_ptr<DnsChannel> channel;
    std::uint32_t under_way = 0;  // Questions of one family each.
    std::uint32_t taken = 0;      // Since it was idle last.
  };

  DnsChannels(DnsConfig config, std::vector<Endpoint> servers, ResolverIo& io,
              std::uint32_t& watch_ids)
      : config_(std::move(config)), servers_(std::move(servers)), io_(io), watch_ids_(watch_ids) {}
  Result<void> add();
  Member& choose();

  DnsConfig config_;
  std::vector<Endpoint> servers_;
  ResolverIo& io_;
  std::uint32_t& watch_ids_;
  std::vector<Member> members_;
};

}  // namespace sni
