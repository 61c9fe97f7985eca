#include "net/guard/xdp_guard.h"

#include <net/if.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace sni {
namespace {

constexpr const char* instead = "blocked sources are refused at accept";

}  // namespace

XdpGuard::XdpGuard(const XdpConfig& config, XdpFilter filter)
    : mode_(config.mode), filter_(std::move(filter)) {
  for (const std::string& name : config.interfaces) {
    interfaces_.push_back({.name = name, .attachment = std::nullopt, .complaint = {}});
  }
}

Result<LoadedXdp> XdpGuard::load(const XdpConfig& config) {
  if (config.interfaces.empty()) {
    spdlog::debug("XDP: no interfaces are configured; {}", instead);
    return LoadedXdp{.guard = std::nullopt, .missing = "no interfaces are configured"};
  }
  auto filter = XdpFilter::load();
  if (!filter) {
    if (config.mode != XdpMode::automatic) return std::unexpected(filter.error());
    spdlog::warn("XDP: {}; {}", filter.error().what, instead);
    return LoadedXdp{.guard = std::nullopt, .missing = filter.error().what};
  }
  spdlog::debug("XDP: program xdp_ip_filter loaded{}",
                filter->takes_fragments() ? "" : ", without jumbo frames (Linux 5.18)");
  return LoadedXdp{.guard = XdpGuard(config, std::move(*filter)), .missing = {}};
}

Result<void> XdpGuard::attach() {
  for (Interface& interface : interfaces_) {
    const auto attached = attach(interface);
    // A foreign program is left alone in every mode; the check at accept still applies.
    if (attached || mode_ == XdpMode::automatic || attached.error().sys_errno == EBUSY) continue;
    return attached;
  }
  return {};
}

Result<void> XdpGuard::attach(Interface& interface) {
  auto attachment = XdpAttachment::attach(filter_.program_fd(), interface.name, mode_);
  if (!attachment) {
    if (interface.complaint != attachment.error().what) {
      interface.complaint = attachment.error().what;
      spdlog::warn("XDP: {}; {}", interface.complaint, instead);
    }
    return std::unexpected(attachment.error());
  }
  interface.complaint.clear();
  interface.attachment = std::move(*attachment);
  const std::string& reason = interface.attachment->fallback_reason();
  spdlog::info("XDP: xdp_ip_filter attached to {} in {} mode{}", interface.name,
               interface.attachment->is_native() ? "native" : "generic",
               reason.empty() ? "" : " (native: " + reason + ")");
  return {};
}

void XdpGuard::refresh() {
  for (Interface& interface : interfaces_) {
    if (interface.attachment && !interface.attachment->is_current()) {
      interface.attachment.reset();
      interface.complaint = "the interface is gone";
      spdlog::warn("XDP: {} is gone; attached again when it comes back", interface.name);
    }
    if (!interface.attachment && if_nametoindex(interface.name.c_str()) != 0) {
      static_cast<void>(attach(interface));
    }
  }
}

std::vector<XdpGuard::Place> XdpGuard::places() const {
  std::vector<Place> places;
  for (const Interface& each : interfaces_) {
    const auto& attachment = each.attachment;
    const char* mode = !attachment ? nullptr : attachment->is_native() ? "native" : "generic";
    places.push_back({.interface = each.name,
                      .mode = mode,
                      .reason = attachment ? attachment->fallback_reason() : each.complaint});
  }
  return places;
}

void XdpGuard::log_totals() const {
  const auto counters = filter_.counters();
  if (!counters) return spdlog::warn("XDP: {}", counters.error().what);
  std::string totals;
  for (std::uint32_t i = 0; i < GUARD_REASONS; ++i) {
    const auto reason = static_cast<guard_reason>(i);
    if (counters->total(reason) == 0) continue;
    totals += std::string("; ") + to_string(reason) + ":";
    for (std::uint32_t protocol = 0; protocol < GUARD_PROTOCOLS; ++protocol) {
      const std::uint64_t packets = counters->packets[reason][protocol];
      if (packets == 0) continue;
      totals += std::string(" ") + to_string(static_cast<guard_protocol>(protocol)) + "=" +
                std::to_string(packets);
    }
  }
  spdlog::info("XDP packets{}", totals.empty() ? ": none" : totals);
}

}  // namespace sni
