#include "net/guard/guard_commands.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/config/duration.h"
#include "core/control/control_message.h"
#include "core/limits.h"

namespace sni {
namespace {

using nlohmann::json;

std::vector<std::string> texts(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> all;
  for (const IpPrefix& prefix : prefixes) all.push_back(prefix.to_string());
  return all;
}

void block(Guard& guard, const json& request, const ControlReply& reply) {
  const auto prefix = requested_prefix(request);
  if (!prefix) return reply(std::unexpected(prefix.error()));
  const auto seconds = requested_seconds(request);
  if (!seconds) return reply(std::unexpected(seconds.error()));
  guard.block(*prefix, *seconds,
              [prefix = *prefix, seconds = *seconds, reply](const Result<void>& blocked) {
                if (!blocked) return reply(std::unexpected(blocked.error()));
                spdlog::info(
                    "blocked {}{} by command", prefix.to_string(),
                    seconds ? " for " + format_duration(std::chrono::seconds(*seconds)) : "");
                reply(json{{"prefix", prefix.to_string()}});
              });
}

void unblock(Guard& guard, const json& request, const ControlReply& reply) {
  const auto prefix = requested_prefix(request);
  if (!prefix) return reply(std::unexpected(prefix.error()));
  guard.unblock(*prefix, [prefix = *prefix, reply](const Result<Guard::Unblocked>& unblocked) {
    if (!unblocked) return reply(std::unexpected(unblocked.error()));
    if (unblocked->was_blocked || !unblocked->bans.empty()) {
      spdlog::info("unblocked {} by command", prefix.to_string());
    }
    reply(json{{"was_blocked", unblocked->was_blocked},
               {"configured", unblocked->configured},
               {"bans", texts(unblocked->bans)},
               {"still_by", texts(unblocked->still_by)}});
  });
}

// Numbers all entries: rules first, then single addresses by their hash bucket, then bans. The cost
// of a page is its length; entries added or removed between two pages may be seen twice or not at
// all.
class Listing {
 public:
  Listing(const Guard& guard, std::size_t from) : guard_(guard), position_(from) {}

  json page() {
    const Admission& admission = guard_.admission();
    const auto& rules = admission.list().rules();
    const auto& addresses = admission.list().addresses();
    for (; position_ < rules.size() && !is_full(); ++position_) add(rules[position_]);
    const std::size_t buckets_end = rules.size() + addresses.bucket_count();
    for (; position_ < buckets_end && !is_full(); ++position_) {
      const std::size_t bucket = position_ - rules.size();
      for (auto entry = addresses.begin(bucket); entry != addresses.end(bucket); ++entry) {
        add({.prefix = {.base = entry->first, .length = 128}, .term = entry->second});
      }
    }
    if (is_full()) return {{"entries", std::move(entries_)}, {"next", position_}};
    for (const Ban& ban : admission.bans().live(now_)) add(ban.source, "ban", ban.until);
    return {{"entries", std::move(entries_)}, {"next", nullptr}};
  }

 private:
  bool is_full() const { return entries_.size() >= limits::control_page_entries; }

  void add(const GuardEntry& entry) {
    if (now_ < entry.term.allow_until) add(entry.prefix, "allow", entry.term.allow_until);
    if (now_ < entry.term.block_until) add(entry.prefix, "block", entry.term.block_until);
  }

  void add(const IpPrefix& prefix, const char* kind, GuardTime until) {
    json entry = {{"prefix", prefix.to_string()}, {"kind", kind}};
    if (until != guard_never_expires) entry["left_s"] = until - now_;
    if (guard_.is_commanded(prefix)) entry["commanded"] = true;
    entries_.push_back(std::move(entry));
  }

  const Guard& guard_;
  std::size_t position_;
  GuardTime now_ = guard_now();
  json entries_ = json::array();
};

Result<json> blocklist(const Guard& guard, const json& request) {
  const auto from = requested_position(request);
  if (!from) return std::unexpected(from.error());
  return Listing(guard, *from).page();
}

Result<json> blocklist_hits(Guard& guard) {
  auto hits = guard.hits();
  if (!hits) return fail("hits are counted by XDP, which is not loaded");
  std::ranges::sort(*hits, std::ranges::greater{}, &XdpHits::packets);
  const std::size_t shown = std::min(hits->size(), limits::control_hits_max);
  json list = json::array();
  for (const XdpHits& hit : std::span(*hits).first(shown)) {
    list.push_back({{"prefix", hit.prefix.to_string()},
                    {"packets", hit.packets},
                    {"kind", hit.ban ? "ban" : "block"}});
  }
  return json{{"hits", std::move(list)}, {"more", hits->size() - shown}};
}

}  // namespace

bool GuardCommands::run(std::string_view command, const json& request, const ControlReply& reply) {
  if (command == "block") {
    block(guard_, request, reply);
  } else if (command == "unblock") {
    unblock(guard_, request, reply);
  } else if (command == "blocklist") {
    reply(blocklist(guard_, request));
  } else if (command == "blocklist_hits") {
    reply(blocklist_hits(guard_));
  } else {
    return false;
  }
  return true;
}

}  // namespace sni
