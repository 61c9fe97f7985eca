#include "net/server/server.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "core/limits.h"
#include "core/session/access_line.h"
#include "net/control/control.h"
#include "net/dns/dns_map_start.h"
#include "net/guard/guard_commands.h"
#include "net/log.h"
#include "net/server/own_addresses.h"
#include "net/socket.h"

namespace sni {

namespace {

// How often the main thread looks at its workers while they drain; else when the guard wants it.
constexpr int drain_look_ms = 20;

Result<UniqueFd> open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  // Blocked here, before any thread is started, so that all threads inherit it.
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return fail_sys("cannot block signals", error);
  }
  signal(SIGPIPE, SIG_IGN);
  UniqueFd fd = UniqueFd::adopt(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_sys("cannot open a signalfd", errno);
  return fd;
}

// What takes effect only at the next start, named where a reload would change it.
void keep_fixed(const Config& running, Config& next) {
  const auto keep = [](std::string_view key, const auto& current, auto& wanted) {
    if (current == wanted) return;
    spdlog::warn("reload: {} takes effect at the next start", key);
    wanted = current;
  };
  keep("server.workers", running.workers, next.workers);
  keep("control.socket", running.control_socket, next.control_socket);
  keep("fast_path", running.fast_path, next.fast_path);
  keep("xdp.interfaces", running.xdp.interfaces, next.xdp.interfaces);
  keep("xdp.mode", running.xdp.mode, next.xdp.mode);
  for (ListenerConfig& listener : next.listeners) {
    for (const ListenerConfig& old : running.listeners) {
      if (old.address != listener.address) continue;
      keep("v6only of listener " + listener.name, old.v6only, listener.v6only);
    }
  }
}

std::string described(const ListenerConfig& listener) {
  return listener.address.to_string() + " (" + listener.name + ", " +
         (listener.protocol == Protocol::tls ? "tls" : "http") + ")";
}

}  // namespace

Server::Server(std::string config_path) : config_path_(std::move(config_path)) {}

Server::~Server() = default;

Result<void> Server::run(LoadedConfig loaded) {
  auto signals = open_signals();
  if (!signals) return std::unexpected(signals.error());
  signals_ = std::move(*signals);
  start_logging(loaded.config->log);
  auto result = serve(std::move(loaded));
  if (!stop_logging()) std::_Exit(result ? EXIT_SUCCESS : EXIT_FAILURE);
  return result;
}

Result<void> Server::serve(LoadedConfig loaded) {
  if (auto started = start(std::move(loaded)); !started) {
    stop();
    workers_.clear();
    return started;
  }
  auto result = wait_for_signals();
  if (!result) stop();
  std::uint32_t cut = 0;
  for (const auto& worker : workers_) cut += worker->cut();
  if (cut > 0) spdlog::warn("{} connections were cut", cut);
  log_totals();
  guard_->log_totals();
  workers_.clear();
  control_.reset();
  guard_.reset();
  return result;
}

Result<void> Server::start(LoadedConfig loaded) {
  Config config = *std::move(loaded.config);
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  // Before they are read, so that no change falls in between.
  auto addresses = watch_own_addresses();
  if (!addresses) spdlog::warn("{}; new ones are seen at a reload", addresses.error().what);
  if (addresses) addresses_ = std::move(*addresses);
  auto names_watch = NamesWatch::open();
  if (!names_watch) spdlog::warn("{}; they are read at a reload", names_watch.error().what);
  if (names_watch) names_watch_ = std::move(*names_watch);
  auto snapshot = make_snapshot(std::move(config), backends_);
  if (!snapshot) return std::unexpected(snapshot.error());
  const RingFeatures ring = probe_ring();
  if (!ring.available) return fail(ring.reason);
  utsname system{};
  uname(&system);
  spdlog::info("Linux {}, io_uring{}, {} workers, at most {} connections", system.release,
               ring.defer_taskrun ? " with deferred task work" : "", (*snapshot)->config.workers,
               (*snapshot)->settings->connections_max);
  auto fast_path = start_fast_path((*snapshot)->config, (*snapshot)->settings->connections_max);
  if (!fast_path) return std::unexpected(fast_path.error());
  shared_.fast_path = std::move(*fast_path);
  shared_.dns_map = start_dns_map((*snapshot)->config);
  // Blocked sources are kept out from the first connection on.
  const Config& settled = (*snapshot)->config;
  for (const std::string& warning : loaded.warnings) spdlog::warn("{}", warning);
  auto guard = Guard::start(shared_.admission, settled.xdp,
                            guard_input(settled, std::move(loaded.block_file)));
  if (!guard) return std::unexpected(guard.error());
  guard_ = std::move(*guard);
  open_control(settled.control_socket);
  workers_.resize(settled.workers);
  listeners_.emplace(settled.workers);
  return adopt(std::move(*snapshot));
}

// The proxy serves without a control socket too: as another user than root it may have no place.
void Server::open_control(const std::string& path) {
  auto control = ControlServer::listen(path);
  if (!control) return spdlog::warn("{}; commands are not taken", control.error().what);
  control_ = std::move(*control);
  control_->add(std::make_unique<GuardCommands>(*guard_));
  spdlog::info("taking commands on {}", path);
}

// Opens what the next snapshot listens on beyond the running one, then hands both to the workers:
// nothing changes unless all of it can be had.
Result<void> Server::adopt(std::shared_ptr<const Snapshot> next) {
  auto change = listeners_->prepare(next->config);
  if (!change) return std::unexpected(change.error());
  for (const auto& listener : change->listeners) {
    if (!listener.opened.empty()) spdlog::info("listening on {}", described(listener.config));
  }
  for (const ListenerConfig& removed : listeners_->commit(std::move(*change))) {
    spdlog::info("no longer listening on {}", described(removed));
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const auto number = static_cast<unsigned>(i);
    NewListeners given{.snapshot = next, .listeners = listeners_->lend(number)};
    if (workers_[i] != nullptr) {
      workers_[i]->tell(std::move(given));
      continue;
    }
    auto worker = Worker::start(number, shared_, std::move(given));
    if (!worker) return std::unexpected(worker.error());
    workers_[i] = std::move(*worker);
  }
  snapshot_ = std::move(next);
  take_names(snapshot_->system_names);
  return {};
}

Result<void> Server::wait_for_signals() {
  while (!all_ended()) {
    // poll() passes over a negative descriptor.
    std::array<pollfd, 5> waits{
        {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
         {.fd = addresses_.get(), .events = POLLIN, .revents = 0},
         {.fd = guard_->fd(), .events = POLLIN, .revents = 0},
         {.fd = control_ ? control_->fd() : -1, .events = POLLIN, .revents = 0},
         {.fd = names_watch_ ? names_watch_->fd() : -1, .events = POLLIN, .revents = 0}}};
    poll(waits.data(), waits.size(), draining_ ? drain_look_ms : guard_->wait_ms());
    report_dropped_lines();
    if (waits[1].revents != 0) on_addresses_changed();
    if (waits[4].revents != 0) on_names_changed();
    guard_->work();
    if (control_) control_->dispatch();
    signalfd_siginfo received;
    while (read(signals_.get(), &received, sizeof received) == sizeof received) {
      if (received.ssi_signo == SIGHUP) {
        if (!draining_) reload();
      } else if (draining_) {
        stop();
      } else {
        drain();
      }
    }
    if (const auto error = failure()) return std::unexpected(*error);
    if (draining_ && monotonic_ms() >= drain_deadline_ms_) stop();
  }
  return {};
}

void Server::reload() {
  auto loaded = load_config(config_path_);
  if (!loaded) return spdlog::error("reload: {}; nothing is changed", loaded.error().what);
  for (const Diagnostic& diagnostic : loaded->diagnostics) {
    spdlog::warn("reload: {}", diagnostic.to_string());
  }
  if (!loaded->config)
    return spdlog::error("reload: the configuration has mistakes; nothing is changed");
  for (const std::string& warning : loaded->warnings) spdlog::warn("reload: {}", warning);
  keep_fixed(snapshot_->config, *loaded->config);
  auto next = make_snapshot(std::move(*loaded->config), backends_);
  if (!next) return spdlog::error("reload: {}; nothing is changed", next.error().what);
  const auto snapshot = *next;
  if (const auto adopted = adopt(std::move(*next)); !adopted) {
    return spdlog::error("reload: {}; nothing is changed", adopted.error().what);
  }
  guard_->reload(guard_input(snapshot->config, std::move(loaded->block_file)));
  configure_logging(snapshot->config.log);
  spdlog::info("reloaded: {} listeners, {} routes", snapshot->config.listeners.size(),
               snapshot->config.routes.size());
}

// What was another host's may now lead back into the proxy, or open this host to clients.
void Server::on_addresses_changed() {
  rearm(addresses_);
  const auto addresses = own_addresses();
  if (draining_ || !addresses || *addresses == snapshot_->own_addresses) return;
  auto next = make_snapshot(snapshot_->config, backends_);
  if (!next) return spdlog::error("{}", next.error().what);
  const auto adopted = adopt(std::move(*next));
  if (!adopted) return spdlog::error("{}", adopted.error().what);
  spdlog::info("the addresses of this host have changed");
}

// Workers that have a snapshot have its names.
void Server::take_names(std::shared_ptr<const SystemNames> names) {
  const bool news = names_ == nullptr || names_->resolv_conf != names->resolv_conf;
  names_ = std::move(names);
  if (!news || !snapshot_->config.dns.servers.empty()) return;
  for (const std::string& unused : names_->resolv_conf.unused) {
    spdlog::warn("/etc/resolv.conf: {}; it is not used", escape_for_log(unused));
  }
}

void Server::on_names_changed() {
  if (!names_watch_->take()) return;
  auto names = load_system_names();
  if (!names) return spdlog::warn("{}; names are resolved as before", names.error().what);
  if (**names == *names_) return;
  spdlog::info("/etc/hosts or /etc/resolv.conf has changed");
  for (const auto& worker : workers_) worker->tell(NewNames{*names});
  take_names(std::move(*names));
}

void Server::drain() {
  draining_ = true;
  const auto limit = snapshot_->config.timeouts.drain;
  drain_deadline_ms_ = monotonic_ms() + static_cast<std::uint64_t>(limit.count());
  spdlog::info("draining: {} connections have {} ms to end",
               shared_.connections.load(std::memory_order_relaxed), limit.count());
  listeners_->retire_all();
  for (const auto& worker : workers_) worker->tell(Drain{});
}

void Server::stop() {
  draining_ = true;
  if (std::exchange(stopped_, true)) return;
  if (listeners_) listeners_->retire_all();
  for (const auto& worker : workers_) {
    if (worker != nullptr) worker->tell(Stop{});
  }
}

bool Server::all_ended() const {
  return std::ranges::all_of(workers_, [](const auto& worker) { return worker->ended(); });
}

std::optional<Error> Server::failure() const {
  for (const auto& worker : workers_) {
    if (worker->ended() && worker->failure()) return worker->failure();
  }
  return std::nullopt;
}

void Server::log_totals() const {
  std::string refused;
  std::string ended;
  std::uint64_t accepted = 0;
  for (const auto& worker : workers_) accepted += worker->counters().accepted.value();
  const auto list = [this](std::string& out, auto reason, const auto& counters_of) {
    std::uint64_t sum = 0;
    for (const auto& worker : workers_) {
      sum += counters_of(worker->counters())[static_cast<std::size_t>(reason)].value();
    }
    if (sum > 0) out += std::string(" ") + to_string(reason) + "=" + std::to_string(sum);
  };
  for (std::size_t i = 0; i < refusals; ++i) {
    list(refused, static_cast<Refusal>(i), [](const Counters& c) -> auto& { return c.refused; });
  }
  for (std::size_t i = 0; i < end_reasons; ++i) {
    list(ended, static_cast<EndReason>(i), [](const Counters& c) -> auto& { return c.ended; });
  }
  spdlog::info("ended: accepted={}{}{}", accepted, refused, ended);
}

}  // namespace sni
