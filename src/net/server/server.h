#pragma once

// Theory of operation: the main thread. It reads the configuration, opens the listening sockets,
// starts the workers and then waits for signals; it never touches a connection.
//
//   address comes, goes   a new snapshot that knows the host's addresses
//   hosts, resolv.conf    every worker gets them, where they differ
//   SIGHUP                a new snapshot for every worker, or none: a mistake changes nothing
//   SIGTERM, SIGINT       drain: accept no more, end with the last connection or cut at the deadline
//   a second one          cut at once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/session/counters.h"
#include "net/dns/names_watch.h"
#include "net/guard/guard.h"
#include "net/server/listener_set.h"
#include "net/server/loaded_config.h"
#include "net/server/snapshot.h"
#include "net/server/worker.h"

namespace sni {

class ControlServer;

class Server {
 public:
  explicit Server(std::string config_path);
  ~Server();

  // Serves until told to end. The error says why it cannot start or go on.
  Result<void> run(LoadedConfig loaded);

 private:
  Result<void> serve(LoadedConfig loaded);
  Result<void> start(LoadedConfig loaded);
  void open_control(const std::string& path);
  Result<void> wait_for_signals();
  void reload();
  void on_addresses_changed();
  void on_names_changed();
  void take_names(std::shared_ptr<const SystemNames> names);
  Result<void> adopt(std::shared_ptr<const Snapshot> next);
  void drain();
  void stop();
  bool all_ended() const;
  std::optional<Error> failure() const;
  void log_totals() const;

  std::string config_path_;
  BackendTable backends_;
  std::shared_ptr<const Snapshot> snapshot_;
  Shared shared_;
  std::optional<ListenerSet> listeners_;  // Outlives the workers, who borrow from it.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Guard> guard_;
  std::unique_ptr<ControlServer> control_;  // Null: it could not be opened.
  UniqueFd signals_;
  std::shared_ptr<const SystemNames> names_;  // That workers have been given.
  std::optional<NamesWatch> names_watch_;     // Empty where they cannot be watched.
  UniqueFd addresses_;                        // Empty where they cannot be watched.
  bool draining_ = false;
  bool stopped_ = false;
  std::uint64_t drain_deadline_ms_ = 0;
};

}  // namespace sni
