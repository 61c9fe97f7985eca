#include "net/planes/fast_path.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <iterator>

#include "bpf/sockhash/self_test.h"

namespace sni {

namespace {

// Pairs beyond these are relayed in userspace. A slot and its map entries take about 300 bytes.
constexpr std::uint32_t slots_max = 32 * 1024;
constexpr std::uint32_t slots_per_worker_min = 64;

constexpr std::uint32_t packet_probe_flows = 16;

std::string kernel_release() {
  utsname system{};
  uname(&system);
  return system.release;
}

void note(FastPath& path, std::string line) {
  spdlog::debug("{}", line);
  path.missing.push_back(std::move(line));
}

// `level`: for an unavailable plane. Only one that was requested is worth a warning.
void log_plane(const char* name, const PlaneVerdict& verdict, spdlog::level::level_enum level) {
  if (verdict.usable) {
    spdlog::debug("sockhash, {}: used ({})", name, verdict.reason);
  } else {
    spdlog::log(level, "sockhash, {}: not possible ({}), relayed in userspace", name,
                verdict.reason);
  }
}

// Decides on each plane by its verdict and the configuration, with a line for the log.
Result<void> choose_planes(FastPath& path, const FastPathConfig& config,
                           const SockhashVerdict& verdict) {
  const bool automatic = config.mode == FastPathMode::automatic;
  path.local = config.same_host && verdict.local.usable && (verdict.unseen.usable || !automatic);
  if (!config.same_host) {
    spdlog::debug("sockhash, backends on this host: treated as remote ones (fast_path.same_host)");
  } else if (!verdict.local.usable || verdict.unseen.usable) {
    log_plane("backends on this host", verdict.local,
              automatic ? spdlog::level::debug : spdlog::level::warn);
  } else if (automatic) {
    note(path, "sockhash, backends on this host: relayed in userspace, as they would notice (" +
                   verdict.unseen.reason + "); fast_path.mode = \"sockhash\" forces them");
  } else {
    spdlog::warn("sockhash, backends on this host: used, and they may notice ({})",
                 verdict.unseen.reason);
  }
  if (!path.local) path.sockhash->detach_capture();
  if (automatic) {
    note(path,
         "sockhash, remote backends: relayed in userspace, which costs less CPU (fast_path.mode = "
         "\"sockhash\" forces them)");
    return {};
  }
  path.remote = verdict.remote.usable;
  log_plane("remote backends", verdict.remote, spdlog::level::warn);
  if (path.local || path.remote) return {};
  return fail("fast_path.mode is \"sockhash\", and this kernel can serve no backend that way: " +
              verdict.local.reason + "; " + verdict.remote.reason);
}

Result<void> start_sockhash(FastPath& path, const Config& config, std::uint32_t connections_max) {
  const std::uint32_t least = slots_per_worker_min * config.workers;
  auto loaded =
      Sockhash::load({.object_file = config.fast_path.object_file,
                      .slots = std::clamp(connections_max, least, std::max(least, slots_max)),
                      .workers = config.workers});
  if (!loaded) return std::unexpected(loaded.error());
  path.sockhash = std::move(*loaded);
  std::string capture_failure;
  if (config.fast_path.same_host)
    if (const auto done = path.sockhash->attach_capture(); !done)
      capture_failure = done.error().what;
  const SelfTest test = run_self_test(*path.sockhash);
  for (const auto& step : path.sockhash->steps()) spdlog::debug("sockhash: {}", step);
  return choose_planes(path, config.fast_path, judge(test, kernel_release(), capture_failure));
}

// A flow gives two descriptors back for the one that holds its port, so half of all can be holders.
// During the hand-over it has all three: a sixteenth of all is reserved for that
// (descriptor_budget).
PacketShare share_of_worker(std::uint32_t workers) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const auto of_each = [&](rlim_t all) {
    return static_cast<std::uint32_t>(std::clamp<rlim_t>(all / workers, 1, 65'536));
  };
  return {.holders = of_each(files.rlim_cur / 2), .handovers = of_each(files.rlim_cur / 16)};
}

Result<std::unique_ptr<PacketService>> start_packet_plane(const Config& config) {
  auto service =
      PacketService::start(config.fast_path, config.fast_path.packet_flows, config.workers);
  if (!service) return service;
  for (const std::string& step : (*service)->steps()) spdlog::debug("packet: {}", step);
  return service;
}

std::vector<std::string> probe_packet_plane() {
  const auto service = PacketService::start({}, packet_probe_flows, 1);
  if (!service) return {"packet plane: no, " + service.error().what};
  return describe((*service)->self_test());
}

std::vector<std::string> probe_sockhash() {
  auto loaded = Sockhash::load({.slots = slots_per_worker_min});
  if (!loaded) return {"sockhash: no (" + loaded.error().what + ")"};
  const auto captured = (*loaded)->attach_capture();
  const SelfTest test = run_self_test(**loaded);
  return describe(test,
                  judge(test, kernel_release(), captured ? std::string() : captured.error().what));
}

}  // namespace

void add_kernel_totals(const FastPath& path, std::vector<Total>& rows) {
  const PacketCounters packet = path.packet ? path.packet->splice().counters() : path.packet_before;
  for (std::size_t i = 0; i < packet.size(); ++i) {
    rows.push_back({.name = "packet_events",
                    .reason = to_string(static_cast<packet_stat>(i)),
                    .value = packet[i] - path.packet_before[i]});
  }
  const SockCounters sockhash = path.sockhash ? path.sockhash->counters() : path.sockhash_before;
  for (std::size_t i = 0; i < sockhash.size(); ++i) {
    rows.push_back({.name = "sockhash_events",
                    .reason = counter_name(static_cast<sock_stat>(i)),
                    .value = sockhash[i] - path.sockhash_before[i]});
  }
}

std::vector<std::string> probe_fast_path() {
  std::vector<std::string> lines = probe_packet_plane();
  std::ranges::move(probe_sockhash(), std::back_inserter(lines));
  return lines;
}

std::string in_words(const FastPath& path) {
  if (path.packet != nullptr) return "packet plane";
  if (path.local && path.remote) return "sockhash for all backends";
  if (path.local) return "sockhash for backends on this host";
  if (path.remote) return "sockhash for remote backends";
  return "relaying in userspace";
}

Result<FastPath> start_fast_path(const Config& config, std::uint32_t connections_max) {
  const FastPathMode mode = config.fast_path.mode;
  const bool automatic = mode == FastPathMode::automatic;
  FastPath path;
  if (automatic || mode == FastPathMode::packet) {
    auto packet = start_packet_plane(config);
    if (packet) {
      path.packet = std::move(*packet);
      path.packet_share = share_of_worker(config.workers);
    } else if (!automatic) {
      return fail("fast_path.mode is \"packet\", which is not possible here: " +
                  packet.error().what);
    } else {
      note(path, "packet: not possible (" + packet.error().what + ")");
    }
  }
  // Pairs that the packet plane declines were usually watched for a while, which is too late for
  // the SOCKHASH.
  if (mode == FastPathMode::sockhash || (automatic && path.packet == nullptr)) {
    const auto started = start_sockhash(path, config, connections_max);
    if (!started && !automatic) return std::unexpected(started.error());
    if (!started) note(path, "sockhash: not possible (" + started.error().what + ")");
    if (!path.local && !path.remote) path.sockhash.reset();
  }
  if (path.packet) path.packet_before = path.packet->splice().counters();
  if (path.sockhash) path.sockhash_before = path.sockhash->counters();
  return path;
}

}  // namespace sni
