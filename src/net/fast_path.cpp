#include "net/fast_path.h"

#include <spdlog/spdlog.h>
#include <sys/utsname.h>

#include <algorithm>

#include "bpf/self_test.h"

namespace sni {

namespace {

// Pairs beyond these are relayed in userspace. A slot and its map entries take about 300 bytes.
constexpr std::uint32_t slots_max = 32 * 1024;
constexpr std::uint32_t slots_per_worker_min = 64;

std::string kernel_release() {
  utsname system{};
  uname(&system);
  return system.release;
}

void log_plane(const char* name, const PlaneVerdict& verdict) {
  if (verdict.usable) {
    spdlog::info("sockhash, {}: used ({})", name, verdict.reason);
  } else {
    spdlog::warn("sockhash, {}: not possible ({}), relayed in userspace", name, verdict.reason);
  }
}

}  // namespace

std::vector<std::string> probe_fast_path() {
  auto loaded = Sockhash::load({.slots = slots_per_worker_min});
  if (!loaded) return {"sockhash: no (" + loaded.error().what + ")"};
  const auto captured = (*loaded)->attach_capture();
  const SelfTest test = run_self_test(**loaded);
  return describe(test,
                  judge(test, kernel_release(), captured ? std::string() : captured.error().what));
}

Result<FastPath> start_fast_path(const Config& config, std::uint32_t connections_max) {
  if (config.fast_path.mode == FastPathMode::userspace) return FastPath{};
  if (config.fast_path.mode == FastPathMode::automatic) {
    // A psock changes recv() of the backend's socket (tcp_bpf_recvmsg waits once, then gives up),
    // and whether that socket blocks shows only in its first write.
    spdlog::info(
        "sockhash: not used in mode auto: a backend on this host that blocks in recv() can see "
        "EAGAIN before it is recognised, and remote backends cost more CPU than in userspace; "
        "fast_path.mode = \"sockhash\" forces both");
    return FastPath{};
  }
  const std::uint32_t least = slots_per_worker_min * config.workers;
  auto loaded =
      Sockhash::load({.object_file = config.fast_path.object_file,
                      .slots = std::clamp(connections_max, least, std::max(least, slots_max)),
                      .workers = config.workers});
  if (!loaded) return std::unexpected(loaded.error());
  FastPath path{.sockhash = std::move(*loaded)};
  const auto captured = path.sockhash->attach_capture();
  const SelfTest test = run_self_test(*path.sockhash);
  const SockhashVerdict verdict =
      judge(test, kernel_release(), captured ? std::string() : captured.error().what);
  for (const auto& step : path.sockhash->steps()) spdlog::info("sockhash: {}", step);
  path.local = verdict.local.usable;
  path.remote = verdict.remote.usable;
  log_plane("backends on this host", verdict.local);
  log_plane("remote backends", verdict.remote);
  if (!path.local && !path.remote) {
    return fail("fast_path.mode is \"sockhash\", and this kernel can serve no backend that way: " +
                verdict.local.reason + "; " + verdict.remote.reason);
  }
  return path;
}

}  // namespace sni
