#pragma once

// Theory of operation: the main thread. It reads the configuration, opens the listening sockets,
// starts the workers and then waits for signals; it never touches a connection.
//
//   address comes, goes   a new snapshot that knows the host's addresses
//   hosts, resolv.conf    every worker gets them, where they differ
//   SIGHUP                a new snapshot for every worker, or none: a mistake changes nothing. A
//                         thread reads the configuration, since that may take seconds
//   SIGTERM, SIGINT,      drain: accept no more, end with the last connection or cut at the
//   SIGQUIT               deadline
//   a second of those     cut at once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/session/totals.h"
#include "core/traffic/traffic_store.h"
#include "net/control/gather.h"
#include "net/dns/names_watch.h"
#include "net/guard/guard.h"
#include "net/metrics/metrics_server.h"
#include "net/server/listener_set.h"
#include "net/server/loaded_config.h"
#include "net/server/passed_sockets.h"
#include "net/server/service_manager.h"
#include "net/server/signals.h"
#include "net/server/snapshot.h"
#include "net/server/traffic_round.h"
#include "net/server/worker.h"

namespace sni {

class ControlCommands;
class ControlServer;
class HealthProber;
class StatsWriter;

class Server : private MetricsSource {
 public:
  // `version`: for `status`.
  Server(std::string config_path, std::string version);
  ~Server() override;

  // Serves until told to end; `signals` comes from take_signals(). False: it could not start or
  // continue, and the log says why.
  bool run(LoadedConfig loaded, UniqueFd signals);

 private:
  Result<void> serve(LoadedConfig loaded);
  Result<void> start(LoadedConfig loaded);
  void open_control(const ControlConfig& config);
  Result<void> open_metrics(const MetricsConfig& config);  // server_metrics.cpp.
  bool ready() const override;
  void metrics(MetricsReply reply) override;
  std::string metrics_now(const std::vector<TrafficKind>& kinds,
                          const TrafficAnswer& traffic) const;
  Result<void> wait_for_signals();
  // The result of a reload, as in the log.
  struct Reloaded {
    std::string failure;                // Why nothing was changed; empty: success.
    std::vector<std::string> messages;  // Mistakes and warnings.
  };
  using ReloadDone = std::function<void(Reloaded)>;
  // `done` gets the result later, from wait_for_signals(). server_reload.cpp.
  void reload(ReloadDone done);
  void start_loading();
  void finish_loading();
  Reloaded adopt_loaded(Result<LoadedConfig> loaded);
  void note_address_event();
  void take_own_addresses();
  bool follow_interfaces();
  void on_names_changed();
  void take_names(std::shared_ptr<const SystemNames> names);
  Result<void> adopt(std::shared_ptr<const Snapshot> next);
  // Tells the service manager that all workers are alive, if they are.
  void look_after_workers();
  std::string summary() const;
  void check_backends();  // server_health.cpp.
  void drain();
  Result<void> reopen_log();
  void stop();
  [[noreturn]] void abandon_workers() const;
  void forget_unused_backends();
  bool all_ended() const;
  std::optional<Error> failure() const;
  void log_start(const Snapshot& snapshot);
  void bound_connections(const Snapshot& snapshot);
  void warn_of_lowered_limits(const Snapshot& snapshot);
  void log_totals() const;
  int wait_ms() const;

  // The interface for commands: server_commands.cpp, server_status.cpp.
  class Commands;
  std::unique_ptr<ControlCommands> commands();
  // Asks every worker; wait_for_signals() calls `done` later.
  void gather(const WorkerQuestion& question, Gather::Done done);
  // Asks one worker: `done` gets one answer, which is empty if the worker gave none.
  void ask(std::size_t worker, const WorkerQuestion& question, Gather::Done done);
  // The sum of what all workers have counted so far; server_traffic.cpp.
  void gather_traffic(std::vector<TrafficKind> kinds, TrafficDone done);
  void ask_traffic(const std::shared_ptr<TrafficRound>& round, std::size_t worker,
                   std::uint32_t from);
  // server_stats.cpp.
  void read_stats(const StatsConfig& config);
  void save_stats();
  void hasten_stats();
  void save_last_stats();
  void keep_stats(std::vector<TrafficSum> sums);
  // server_follow.cpp.
  void follow(const FlowFilter& filter);
  void tell_followers();
  nlohmann::json status() const;
  nlohmann::json counted_totals() const;
  std::vector<Total> totals() const;

  std::string config_path_;
  std::string version_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::system_clock::time_point loaded_at_;        // Of the running configuration.
  std::pair<std::uint32_t, std::uint32_t> told_limits_{};  // Of warn_of_lowered_limits().
  Reaper reaper_;                                          // Outlives all snapshots.
  BackendTable backends_;
  std::shared_ptr<const Snapshot> snapshot_;
  Shared shared_;
  std::vector<int> cpus_;                 // The CPU of each worker; empty: not pinned.
  std::optional<ListenerSet> listeners_;  // Outlives the workers, who borrow from it.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Guard> guard_;
  std::unique_ptr<ControlServer> control_;  // Null: not open.
  std::unique_ptr<MetricsServer> metrics_;  // Null: not configured.
  std::unique_ptr<HealthProber> health_;    // Null: nothing is checked.
  std::unique_ptr<Gather> gather_;          // Replies to control_, so it is destroyed first.
  PassedSockets passed_ = PassedSockets::from_environment();  // Until listeners_ has them.
  ServiceManager manager_ = ServiceManager::from_environment();
  std::optional<std::uint64_t> alive_due_ms_;  // nullopt: no watchdog is set.
  UniqueFd signals_;
  std::shared_ptr<const SystemNames> names_;  // As given to the workers.
  std::optional<NamesWatch> names_watch_;     // Empty if they cannot be watched.
  UniqueFd addresses_;                        // Empty if they cannot be watched.
  // When to read the addresses of this host again; nullopt: no change was reported.
  std::optional<std::uint64_t> addresses_due_ms_;
  std::uint64_t reloads_failed_ = 0;
  // The configuration while a thread reads it.
  struct Loading {
    Result<LoadedConfig> loaded{LoadedConfig{}};
    std::atomic<bool> ready{false};
    std::vector<ReloadDone> done;
    std::jthread thread;
  };
  UniqueFd loaded_;  // An eventfd: `loading_` is ready.
  std::unique_ptr<Loading> loading_;
  std::vector<ReloadDone> reload_again_;       // Asked for since the reading began.
  TrafficStore before_;                        // Counts of earlier processes.
  std::unique_ptr<StatsWriter> stats_writer_;  // Null: there is no stats.file.
  // When to write it next; nullopt: traffic is being gathered.
  std::optional<std::uint64_t> stats_due_ms_;
  // A client that is notified of connections that begin and end.
  struct Follower {
    std::uint64_t client;  // Of the control socket.
    FlowFilter filter;
    std::string text;  // Lines to push.
  };
  std::vector<Follower> followers_;
  std::vector<MetricsReply> scrapers_;  // Scrapers that wait for the workers' traffic.
  bool draining_ = false;
  bool stopped_ = false;
  std::uint64_t drain_deadline_ms_ = 0;
  std::uint64_t stop_deadline_ms_ = 0;
};

}  // namespace sni
