#include "net/server/fixed_settings.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string_view>

#include "core/limits.h"
#include "net/server/cpu_count.h"
#include "net/server/descriptor_budget.h"

namespace sni {

void settle(Config& config) {
  if (config.workers == 0) config.workers = usable_cpus();
  const std::uint64_t files = raised_descriptor_limit();
  if (config.fast_path.mode == FastPathMode::automatic && files < limits::plane_files_min) {
    spdlog::debug("fast_path: with {} open files at most, connections need them all", files);
    config.fast_path.mode = FastPathMode::userspace;
  }
}

std::vector<std::string> keep_fixed(const Config& running, Config& next) {
  std::vector<std::string> kept;
  const auto keep = [&kept](std::string key, const auto& current, auto& wanted) {
    if (current == wanted) return;
    kept.push_back(std::move(key));
    wanted = current;
  };
  keep("server.workers", running.workers, next.workers);
  keep("server.pin_workers", running.pin_workers, next.pin_workers);
  keep("server.user", running.user, next.user);
  keep("server.group", running.group, next.group);
  keep("control.socket", running.control.socket, next.control.socket);
  keep("control.group", running.control.group, next.control.group);
  keep("control.mode", running.control.mode, next.control.mode);
  keep("metrics.listen", running.metrics.listen, next.metrics.listen);
  keep("stats.file", running.stats.file, next.stats.file);
  keep("fast_path", running.fast_path, next.fast_path);
  keep("xdp.interfaces", running.xdp.interfaces, next.xdp.interfaces);
  keep("xdp.mode", running.xdp.mode, next.xdp.mode);
  for (ListenerConfig& listener : next.listeners) {
    const auto old =
        std::ranges::find(running.listeners, listener.address, &ListenerConfig::address);
    if (old == running.listeners.end()) continue;
    keep("v6only of listener " + listener.name, old->v6only, listener.v6only);
  }
  return kept;
}

}  // namespace sni
