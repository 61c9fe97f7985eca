#pragma once

// Theory of operation: a worker is one thread with its own ring, listening sockets (SO_REUSEPORT)
// and connections; nothing is shared on the byte path. A turn of the loop is
//
//   submit and wait -> completions and commands -> answers of the resolver -> deadlines
//
// Commands (a new snapshot, drain, stop) come from the main thread through a mailbox and an
// eventfd. Connections live in chunks of slots that never move; a slot is freed after the step that
// closed it, with nothing in flight, and its generation is incremented, so that a tag never reaches
// a successor.

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "core/control/flow_filter.h"
#include "net/connection.h"
#include "net/control/gather.h"
#include "net/flow/live_flow.h"
#include "net/flow/traffic_page.h"
#include "net/loop/loop.h"
#include "net/loop/slots.h"
#include "net/server/listener_set.h"
#include "net/server/snapshot.h"

namespace sni {

// Listening sockets of one worker for a snapshot, one per listener of it.
struct NewListeners {
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<LentListener> listeners;
};
// The new contents of /etc/hosts and resolv.conf.
struct NewNames {
  std::shared_ptr<const SystemNames> names;
};
struct Drain {};  // Stop accepting; end when the last connection has.
struct Stop {};   // Cut all connections, then end.
// A question of the main thread to each worker, which runs on the worker's own thread.
class Worker;
using WorkerQuestion = std::function<std::any(Worker&)>;
struct Ask {
  WorkerQuestion question;
  Gather::Ticket ticket;
};
// A waiting connection got a place: the tag of its wait.
struct PlaceGranted {
  std::uint64_t tag;
};
// Routes have a limit of connections that had none: connections that began before count too.
struct CountRoutes {};
using Command = std::variant<NewListeners, NewNames, Drain, Stop, Ask, PlaceGranted, CountRoutes>;

// For the worker's own thread: an answer to a WorkerQuestion.
struct WorkerLoad {
  std::uint32_t connections = 0;
};

class Worker final : private ResolverIo, private PlaceBell {
 public:
  // Starts the thread; returns when its ring is set up or refused. `shared` outlives the worker.
  // `cpu`: the only CPU that it runs on.
  static Result<std::unique_ptr<Worker>> start(unsigned number, Shared& shared,
                                               NewListeners listeners,
                                               std::optional<int> cpu = std::nullopt);
  ~Worker() override;  // Joins; the worker must have been told to drain or stop.

  void tell(Command command);
  // Waits for the end of the thread; it must have been told to drain or stop, or have failed.
  void join();
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  // Why it ended, if not by command. Only once ended().
  const std::optional<Error>& failure() const { return failure_; }
  const Counters& counters() const { return counters_; }
  // Answers to a WorkerQuestion, on the worker's own thread. A page starts at `from`, which is 0 or
  // the `next` of the previous page. Connections that begin or end meanwhile may be missed.
  WorkerLoad load() const { return {.connections = loop_ ? loop_->ledger.living() : 0}; }
  FlowPage list_flows(const FlowFilter& filter, std::uint32_t from);
  FlowPage kill_flows(const FlowFilter& filter, std::uint32_t from);
  TrafficPage traffic(const std::vector<TrafficKind>& kinds, std::uint32_t from);
  // On the worker's own thread, or once ended().
  std::vector<TrafficReport> traffic_reports(const std::vector<TrafficKind>& kinds) const;

  // Only once ended(): connections that Stop ended, and spliced ones for the next process.
  std::uint32_t cut() const { return cut_; }
  std::uint32_t left() const { return left_; }

 private:
  struct Listener {
    ListenerId id = 0;
    ListenerConfig config;  // What it was opened for.
    LentSocket socket;
    TcpConfig tcp;            // The options it was opened with: accepted sockets inherit them.
    std::uint32_t index = 0;  // In the snapshot's listeners.
    std::shared_ptr<const Snapshot> snapshot;
    bool armed = false;
    bool retired = false;
    std::uint64_t retry_ms = 0;  // Accepting pauses until then; 0: it does not.
    std::uint64_t close_ms = 0;  // If retired: when it is closed.
  };

  Worker(unsigned number, Shared& shared);
  Result<void> set_up(const NewListeners& listeners);
  void run(NewListeners listeners);
  Result<void> turn();
  std::int64_t wait_ms();

  void dispatch(const Completion& completion);
  void on_accept(const Completion& completion);
  void on_wake();
  void take_answers();
  void watch_notices();
  void watch_packet_plane();
  void on_packet_plane();
  void expire_deadlines();
  void end_evicted();

  void accept(Listener& listener, int fd);
  void refuse(Refusal refusal, const Endpoint& peer);
  void warn_of_full();
  void arm(std::uint32_t listener);
  void retire(std::uint32_t listener);
  void close_retired(std::uint32_t listener);
  void apply(NewListeners listeners);
  std::uint32_t add(LentListener lent, std::uint32_t index);
  std::uint32_t place_of(ListenerId id) const;
  void take_names(std::shared_ptr<const SystemNames> names);
  void drain();
  void stop();
  bool has_listeners() const;
  std::size_t spliced();  // Flows without a slot that end with this process.
  void take_over_flows();
  void free_if_closed(std::uint32_t slot);
  template <typename Visit>
  FlowPage visit_flows(const FlowFilter& filter, std::uint32_t from, Visit&& visit);
  // nullopt: it is about to end; no progress is known.
  std::optional<FlowProgress> progress_of(const Flow& flow);

  void watch(std::uint32_t id, int fd, bool readable, bool writable) override;
  void unwatch(std::uint32_t id) override;
  // Thread-safe.
  void place_granted(std::uint64_t tag) override { tell(PlaceGranted{tag}); }
  void on_place(OpTag tag);

  unsigned number_;
  Shared& shared_;
  Counters counters_;
  Traffic traffic_{random_key()};
  std::optional<Loop> loop_;  // Built on the worker's own thread, as the ring must be.
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<std::unique_ptr<Listener>> listeners_;  // By place; a retired place is reused.
  Slots<Connection> slots_;
  UniqueFd wake_fd_;
  std::array<std::uint8_t, 8> wake_count_{};
  bool draining_ = false;
  std::uint64_t accept_warning_due_ms_ = 0;
  std::uint64_t full_warning_due_ms_ = 0;
  bool stopping_ = false;  // Connections still accepted from the backlog are cut as well.
  std::uint32_t cut_ = 0;
  std::uint32_t left_ = 0;
  std::optional<Error> failure_;
  std::atomic<bool> ended_{false};
  std::mutex mailbox_mutex_;
  std::vector<Command> mailbox_;
  std::jthread thread_;
};

}  // namespace sni
