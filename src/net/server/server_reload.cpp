// SIGHUP, and the command `reload`: the configuration is read again. A mistake changes nothing.

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>

#include <utility>

#include "core/counted.h"
#include "net/beside.h"
#include "net/log.h"
#include "net/server/fixed_settings.h"
#include "net/server/server.h"

namespace sni {

// The configuration may have changed since a reading began, so it is read once more then.
void Server::reload(ReloadDone done) {
  reload_again_.push_back(std::move(done));
  if (loading_ == nullptr) start_loading();
}

void Server::start_loading() {
  manager_.reloading();
  loading_ = std::make_unique<Loading>();
  loading_->done = std::exchange(reload_again_, {});
  loading_->thread = run_beside("a reload", [loading = loading_.get(), path = config_path_,
                                             loaded = loaded_.get()](const std::stop_token&) {
    loading->loaded = load_config(path);
    loading->ready = true;
    eventfd_write(loaded, 1);
  });
}

void Server::finish_loading() {
  eventfd_t ignored = 0;
  eventfd_read(loaded_.get(), &ignored);
  if (loading_ == nullptr || !loading_->ready) return;
  const std::unique_ptr<Loading> loading = std::move(loading_);
  join(loading->thread);
  const Reloaded outcome = draining_ ? Reloaded{.failure = "the proxy is draining", .messages = {}}
                                     : adopt_loaded(std::move(loading->loaded));
  for (const ReloadDone& done : loading->done) {
    if (done) done(outcome);
  }
  if (!reload_again_.empty()) start_loading();
}

Server::Reloaded Server::adopt_loaded(Result<LoadedConfig> loaded) {
  Reloaded outcome;
  const auto refuse = [this, &outcome](std::string why) {
    spdlog::error("reload: {}; nothing is changed", why);
    outcome.failure = std::move(why);
    ++reloads_failed_;
    manager_.ready(summary() + "; the last reload found mistakes");
    return outcome;
  };
  const auto warn = [&outcome](std::string text) {
    spdlog::warn("reload: {}", text);
    outcome.messages.push_back(std::move(text));
  };
  if (!loaded) return refuse(loaded.error().what);
  for (const Diagnostic& diagnostic : loaded->diagnostics) {
    log_diagnostic(diagnostic, "reload: ");
    outcome.messages.push_back(diagnostic.to_string());
  }
  if (!loaded->config) return refuse("the configuration has mistakes");
  for (const std::string& warning : loaded->warnings) warn(warning);
  settle(*loaded->config);
  for (const std::string& key : keep_fixed(snapshot_->config, *loaded->config)) {
    warn(key + " takes effect at the next start");
  }
  auto next = make_snapshot(std::move(*loaded->config), backends_, names_, &reaper_);
  if (!next) return refuse(next.error().what);
  const auto snapshot = *next;
  // A rotation may have moved the file away, so it is opened even if its path is the same.
  if (const auto opened = open_access_file(snapshot->config.log.access_file); !opened) {
    return refuse(opened.error().what);
  }
  if (const auto adopted = adopt(std::move(*next)); !adopted) {
    static_cast<void>(reopen_log());
    return refuse(adopted.error().what);
  }
  bound_connections(*snapshot);
  check_backends();
  guard_->reload(guard_input(snapshot->config, std::move(loaded->block_file)));
  configure_logging(snapshot->config.log);
  hasten_stats();
  loaded_at_ = std::chrono::system_clock::now();
  warn_of_lowered_limits(*snapshot);
  // Interfaces may have been made again since their indices were read.
  addresses_due_ms_ = monotonic_ms();
  manager_.ready(summary());
  spdlog::info("reloaded: {}, {}", counted(snapshot->config.listeners.size(), "listener"),
               counted(snapshot->config.routes.size(), "route"));
  return outcome;
}

void Server::bound_connections(const Snapshot& snapshot) {
  backends_.bound_connections(snapshot.config.routes);
  if (!snapshot.routes.bound_connections(backends_)) return;
  for (const auto& worker : workers_) {
    if (!worker->ended()) worker->tell(CountRoutes{});
  }
}

// A rotation may have moved the file away.
Result<void> Server::reopen_log() {
  auto opened = open_access_file(snapshot_->config.log.access_file);
  if (!opened) spdlog::error("{}; nothing is changed", opened.error().what);
  return opened;
}

// Once for each pair of figures, not at every reload.
void Server::warn_of_lowered_limits(const Snapshot& snapshot) {
  const std::uint32_t wanted = snapshot.config.limits.connections;
  const std::uint32_t possible = snapshot.settings->relayed_max;
  if (std::exchange(told_limits_, {wanted, possible}) == std::pair{wanted, possible}) return;
  if (wanted <= possible) return;
  spdlog::warn("limits.connections is {}, but the limit of open files allows {} (ulimit -n)",
               wanted, possible);
}

}  // namespace sni
