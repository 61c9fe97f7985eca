#include "net/server/server.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "core/config/duration.h"
#include "core/counted.h"
#include "core/session/access_line.h"
#include "net/control/control_socket.h"
#include "net/dns/dns_map_start.h"
#include "net/guard/guard_commands.h"
#include "net/health/prober.h"
#include "net/interface_index.h"
#include "net/log.h"
#include "net/metrics/metrics_server.h"
#include "net/server/cpu_count.h"
#include "net/server/descriptor_budget.h"
#include "net/server/fixed_settings.h"
#include "net/server/own_addresses.h"
#include "net/server/stats_writer.h"

namespace sni {

namespace {

// How often the main thread checks its workers while they drain; otherwise the guard decides.
constexpr int drain_look_ms = 20;
// How long a worker may take to end once it is told to. Usually it takes milliseconds.
constexpr std::uint64_t stop_grace_ms = 5000;

std::string described(const ListenerConfig& listener) {
  return listener.address.to_string(interface_name) + " (" + listener.name + ", " +
         (listener.protocol == Protocol::tls ? "tls" : "http") + ")";
}

}  // namespace

Server::Server(std::string config_path, std::string version)
    : config_path_(std::move(config_path)),
      version_(std::move(version)),
      started_(std::chrono::steady_clock::now()) {}

Server::~Server() = default;

bool Server::run(LoadedConfig loaded, UniqueFd signals) {
  signals_ = std::move(signals);
  start_logging(loaded.config->log);
  for (const Diagnostic& warning : loaded.diagnostics) log_diagnostic(warning);
  const auto result = serve(std::move(loaded));
  if (!result) spdlog::error("{}", result.error().what);
  if (!stop_logging()) std::_Exit(result ? EXIT_SUCCESS : EXIT_FAILURE);
  return result.has_value();
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
  std::uint32_t left = 0;
  for (const auto& worker : workers_) {
    worker->join();
    cut += worker->cut();
    left += worker->left();
  }
  if (cut > 0) spdlog::warn("cut {}", counted(cut, "connection"));
  if (left > 0) spdlog::info("left {} to the next process", counted(left, "spliced connection"));
  loading_.reset();
  log_totals();
  guard_->log_totals();
  save_last_stats();
  workers_.clear();
  stats_writer_.reset();  // Writes what is queued.
  gather_.reset();        // It replies to the others.
  metrics_.reset();
  control_.reset();
  guard_.reset();
  return result;
}

Result<void> Server::start(LoadedConfig loaded) {
  Config config = *std::move(loaded.config);
  settle(config);
  loaded_ = UniqueFd::adopt(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!loaded_) return fail_sys("cannot set up reloads", errno);
  // Opened before the addresses are read, so that no change is missed.
  auto addresses = watch_own_addresses();
  if (!addresses) spdlog::warn("{}; new ones are seen at a reload", addresses.error().what);
  if (addresses) addresses_ = std::move(*addresses);
  auto names_watch = NamesWatch::open();
  if (!names_watch) spdlog::warn("{}; they are read at a reload", names_watch.error().what);
  if (names_watch) names_watch_ = std::move(*names_watch);
  auto snapshot = make_snapshot(std::move(config), backends_, nullptr, &reaper_);
  if (!snapshot) return std::unexpected(snapshot.error());
  const RingFeatures ring = probe_ring();
  if (!ring.available) return fail(ring.reason);
  spdlog::debug("io_uring{}", ring.defer_taskrun ? " with deferred task work" : "");
  auto fast_path = start_fast_path((*snapshot)->config, (*snapshot)->settings->relayed_max);
  if (!fast_path) return std::unexpected(fast_path.error());
  shared_.fast_path = std::move(*fast_path);
  if (auto opened = open_access_file((*snapshot)->config.log.access_file); !opened) return opened;
  log_start(**snapshot);
  shared_.dns_map = start_dns_map((*snapshot)->config);
  // The guard starts first, so that blocked sources are refused from the first connection on.
  const Config& settled = (*snapshot)->config;
  for (const std::string& warning : loaded.warnings) spdlog::warn("{}", warning);
  auto guard = Guard::start(shared_.admission, settled.xdp,
                            guard_input(settled, std::move(loaded.block_file)));
  if (!guard) return std::unexpected(guard.error());
  guard_ = std::move(*guard);
  auto gather = Gather::create();
  if (!gather) return std::unexpected(gather.error());
  gather_ = std::move(*gather);
  read_stats(settled.stats);
  open_control(settled.control);
  if (auto opened = open_metrics(settled.metrics); !opened) return opened;
  workers_.resize(settled.workers);
  if (settled.pin_workers) cpus_ = cpus_of_workers(settled.workers);
  listeners_.emplace(settled.workers, std::move(passed_), cpus_);
  loaded_at_ = std::chrono::system_clock::now();
  backends_.bound_connections(settled.routes);
  (*snapshot)->routes.bound_connections(backends_);
  if (auto adopted = adopt(std::move(*snapshot)); !adopted) return adopted;
  for (const std::string& name : listeners_->close_unused_passed()) {
    spdlog::warn("no listener takes the socket {} of the service manager; it is closed", name);
  }
  check_backends();
  return check_room_for_one(descriptor_limit());
}

void Server::log_start(const Snapshot& snapshot) {
  utsname system{};
  uname(&system);
  spdlog::info("sni-proxy {} on Linux {}: {}, at most {}, {}", version_, system.release,
               counted(snapshot.config.workers, "worker"),
               counted(snapshot.settings->relayed_max, "connection"), in_words(shared_.fast_path));
  warn_of_lowered_limits(snapshot);
}

// The proxy also serves without a control socket: a user other than root may have no place for it.
void Server::open_control(const ControlConfig& config) {
  auto control = ControlServer::listen(config, control_clients(descriptor_limit()));
  if (!control) return spdlog::warn("{}; control commands are unavailable", control.error().what);
  control_ = std::move(*control);
  control_->add(std::make_unique<GuardCommands>(*guard_));
  control_->add(commands());
  spdlog::info("taking commands on {}", config.socket);
}

// Opens the additional listeners of the next snapshot, then hands both to the workers. Nothing
// changes unless all listeners can be opened.
Result<void> Server::adopt(std::shared_ptr<const Snapshot> next) {
  auto change = listeners_->prepare(next->config);
  if (!change) return std::unexpected(change.error());
  std::vector<std::string> opened;
  for (const auto& listener : change->listeners) {
    if (!listener.opened.empty()) opened.push_back(described(listener.config));
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
    const auto cpu = cpus_.empty() ? std::nullopt : std::optional(cpus_[i]);
    auto worker = Worker::start(number, shared_, std::move(given), cpu);
    if (!worker) return std::unexpected(worker.error());
    workers_[i] = std::move(*worker);
  }
  // Logged once it is served.
  for (const std::string& listener : opened) spdlog::info("listening on {}", listener);
  snapshot_ = std::move(next);
  take_names(snapshot_->system_names);
  return {};
}

Result<void> Server::wait_for_signals() {
  manager_.ready(summary());
  if (manager_.alive_every_ms()) alive_due_ms_ = monotonic_ms();
  while (!all_ended()) {
    // poll() skips negative descriptors.
    std::array<pollfd, 10> waits{
        {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
         {.fd = addresses_.get(), .events = POLLIN, .revents = 0},
         {.fd = guard_->fd(), .events = POLLIN, .revents = 0},
         {.fd = control_ ? control_->fd() : -1, .events = POLLIN, .revents = 0},
         {.fd = gather_->fd(), .events = POLLIN, .revents = 0},
         {.fd = names_watch_ ? names_watch_->fd() : -1, .events = POLLIN, .revents = 0},
         {.fd = metrics_ ? metrics_->fd() : -1, .events = POLLIN, .revents = 0},
         {.fd = health_ ? health_->fd() : -1, .events = POLLIN, .revents = 0},
         {.fd = shared_.news.fd(), .events = POLLIN, .revents = 0},
         {.fd = loaded_.get(), .events = POLLIN, .revents = 0}}};
    poll(waits.data(), waits.size(), wait_ms());
    report_dropped_lines();
    if (waits[1].revents != 0) note_address_event();
    if (alive_due_ms_ && *alive_due_ms_ <= monotonic_ms()) look_after_workers();
    if (addresses_due_ms_ && *addresses_due_ms_ <= monotonic_ms()) take_own_addresses();
    if (waits[5].revents != 0) on_names_changed();
    guard_->work();
    if (control_) control_->dispatch(monotonic_ms());
    if (waits[8].revents != 0) tell_followers();
    if (metrics_) metrics_->dispatch(monotonic_ms());
    if (health_) health_->dispatch(monotonic_ms());
    gather_->dispatch(monotonic_ms());
    SignalsCome come = read_signals(signals_);
    if (come.reopen) (void)reopen_log();
    if (come.reload && come.ends == 0 && !draining_) reload({});
    if (waits[9].revents != 0) finish_loading();
    for (; come.ends > 0; --come.ends) draining_ ? stop() : drain();
    if (const auto error = failure()) return std::unexpected(*error);
    if (stats_due_ms_ && *stats_due_ms_ <= monotonic_ms()) save_stats();
    if (draining_ && monotonic_ms() >= drain_deadline_ms_) stop();
    if (stopped_ && monotonic_ms() >= stop_deadline_ms_) abandon_workers();
    if (reaper_.has_freed()) forget_unused_backends();
  }
  return {};
}

int Server::wait_ms() const {
  auto wait = static_cast<std::uint64_t>(draining_ ? drain_look_ms : guard_->wait_ms());
  const std::uint64_t now = monotonic_ms();
  const auto slow_client = control_ ? control_->deadline_ms() : std::nullopt;
  const auto slow_scraper = metrics_ ? metrics_->deadline_ms() : std::nullopt;
  const auto health = health_ ? health_->deadline_ms(now) : std::nullopt;
  for (const auto& due : {gather_->deadline_ms(), addresses_due_ms_, slow_client, slow_scraper,
                          alive_due_ms_, stats_due_ms_, health}) {
    if (due) wait = std::min(wait, *due <= now ? 0 : *due - now);
  }
  return static_cast<int>(wait);
}

std::string Server::summary() const {
  const Config& config = snapshot_->config;
  return "serving " + counted(config.listeners.size(), "listener") + ", " +
         counted(config.routes.size(), "route");
}

// A stuck worker does not answer. One that has ended in a drain need not.
void Server::look_after_workers() {
  alive_due_ms_ = monotonic_ms() + *manager_.alive_every_ms();
  gather([](const Worker& /*worker*/) { return std::any(true); },
         [this](const Gather::Answers& answers) {
           for (std::size_t i = 0; i < answers.size(); ++i) {
             if (!answers[i].has_value() && !workers_[i]->ended()) return;
           }
           manager_.alive();
         });
}

void Server::drain() {
  draining_ = true;
  const auto limit = snapshot_->config.timeouts.drain;
  drain_deadline_ms_ = monotonic_ms() + static_cast<std::uint64_t>(limit.count());
  // Spliced connections may be left to the next process.
  const bool leaves = shared_.fast_path.packet && shared_.fast_path.packet->leaves_flows();
  const std::uint32_t left =
      (leaves ? shared_.relayed : shared_.connections).load(std::memory_order_relaxed);
  manager_.stopping("draining " + counted(left, "connection"));
  if (left == 0) {
    spdlog::info("draining: no connection is left");
  } else {
    spdlog::info("draining: {} {} up to {} to end", counted(left, "connection"),
                 left == 1 ? "has" : "have", format_duration(limit));
  }
  health_.reset();
  listeners_->retire_all();
  for (const auto& worker : workers_) worker->tell(Drain{});
}

void Server::stop() {
  draining_ = true;
  if (std::exchange(stopped_, true)) return;
  stop_deadline_ms_ = monotonic_ms() + stop_grace_ms;
  if (listeners_) listeners_->retire_all();
  for (const auto& worker : workers_) {
    if (worker != nullptr) worker->tell(Stop{});
  }
}

// A worker that hangs, in the kernel or by a fault of ours, must not keep the process.
void Server::abandon_workers() const {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i]->ended()) {
      spdlog::error("worker {} has not ended within {}; its connections are cut", i,
                    format_duration(std::chrono::milliseconds(stop_grace_ms)));
    }
  }
  static_cast<void>(stop_logging());
  std::_Exit(EXIT_FAILURE);
}

// The reaper has freed an old configuration, which used them.
void Server::forget_unused_backends() {
  backends_.sweep();
  reaper_.trim();
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
  spdlog::info("ended: {}", totals_line(totals()));
}

}  // namespace sni
