// Health checks: started with the first configuration that has some, and continued by each reload.

#include <spdlog/spdlog.h>

#include "core/health/health_plan.h"
#include "net/health/prober.h"
#include "net/server/server.h"

namespace sni {

void Server::check_backends() {
  auto targets = health_targets(snapshot_->config, snapshot_->routes);
  if (health_ == nullptr) {
    if (targets.empty()) return;
    auto prober = HealthProber::create(shared_.board);
    if (!prober) return spdlog::error("{}", prober.error().what);
    health_ = std::move(*prober);
  }
  const auto done =
      health_->configure(std::move(targets), snapshot_->config.dns, snapshot_->system_names,
                         snapshot_->config.tcp, monotonic_ms());
  if (!done) spdlog::error("{}; backends are checked as before", done.error().what);
}

}  // namespace sni
