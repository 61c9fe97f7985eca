#pragma once

// The part of the packet plane that all workers share: the loaded programs, the interfaces that
// they are attached to, and a thread. The thread delivers the events of flows to the workers that
// own them and follows changes of interfaces and routes.
//
// A flow's name includes the number of its worker, so that events are delivered without a table.
//
// With fast_path.pin programs and maps outlive the process, and so do the flows. The next process
// replaces the old programs by its own and gives the flows to its workers. Unfinished hand-overs of
// the old process are reset.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "bpf/packet/handover.h"
#include "bpf/packet/packet_self_test.h"
#include "bpf/packet/packet_splice.h"
#include "bpf/packet/pin_directory.h"
#include "bpf/packet/route_lookup.h"
#include "bpf/packet/saved_flows.h"
#include "bpf/packet/tc_attachment.h"
#include "core/config/config.h"
#include "core/limits.h"

namespace sni {

// Events for one worker.
class PacketInbox {
 public:
  PacketInbox();

  // Readable when there are events, and once a second for a worker that requests it.
  int fd() const { return fd_.get(); }
  void want_ticks(bool on) { ticks_.store(on, std::memory_order_relaxed); }
  bool wants_ticks() const { return ticks_.load(std::memory_order_relaxed); }
  void put(const packet_event& event);
  void wake();
  std::vector<packet_event> take();

 private:
  UniqueFd fd_;
  std::atomic<bool> ticks_{false};
  std::mutex mutex_;
  std::vector<packet_event> events_;
};

// One worker's share of limited resources.
struct PacketShare {
  std::uint32_t holders = 0;    // Local ports of spliced flows, a descriptor each.
  std::uint32_t handovers = 0;  // Concurrent; such a pair has its two descriptors and a held port.
};

// A flow of an earlier process.
struct LeftFlow {
  std::uint64_t name = 0;
  SavedFlow saved;
};

// Names of flows. 0 is none.
constexpr std::uint64_t packet_flow_name(unsigned worker, std::uint64_t number) {
  return (std::uint64_t{worker} + 1) << 48 | number;
}
constexpr std::uint64_t worker_of_packet_flow(std::uint64_t flow) {
  return (flow >> 48) - 1;
}
// The self-test's flows have no worker.
constexpr bool is_worker_of_packet_flow(std::uint64_t flow) {
  return worker_of_packet_flow(flow) < limits::workers_max;
}

class PacketService {
 public:
  // Loads the programs, attaches them to loopback and tests them; other interfaces follow as
  // connections need them.
  static Result<std::unique_ptr<PacketService>> start(const FastPathConfig& config,
                                                      std::uint32_t flows, unsigned workers);
  ~PacketService();
  PacketService(const PacketService&) = delete;
  PacketService& operator=(const PacketService&) = delete;

  PacketSplice& splice() { return *splice_; }
  GracePeriods& grace() { return grace_; }
  PacketInbox& inbox(unsigned worker) { return *inboxes_[worker]; }
  // Lines for the log: what was loaded and where it is attached.
  std::vector<std::string> steps() const;
  const PacketSelfTest& self_test() const { return self_test_; }

  // Null: flows end with the process.
  const SavedFlows* saved() const { return saved_ ? &*saved_ : nullptr; }
  // Whether live flows are left to the next process at the end of this one.
  bool leaves_flows() const { return leaves_flows_; }
  // The worker's flows; to be called once, from its thread.
  std::vector<LeftFlow> take_left(unsigned worker) { return std::exchange(left_[worker], {}); }

  // Ensures that the programs see packets that arrive from the far end of this route. PACKET_TAKEN,
  // or why not. Thread-safe.
  packet_decline hook(const PacketRoute& route);
  // Local ports that workers hold, a descriptor each.
  std::atomic<std::uint32_t>& held_ports() { return held_ports_; }
  const std::atomic<std::uint32_t>& held_ports() const { return held_ports_; }
  // Changes with every change of an interface, an address or a route.
  std::uint64_t routes_version() const { return routes_version_.load(std::memory_order_acquire); }

 private:
  // The state of one interface.
  struct Hook {
    packet_decline verdict = PACKET_TAKEN;
    std::optional<TcAttachment> attachment;
  };

  PacketService() = default;
  Result<void> set_up(const FastPathConfig& config, std::uint32_t flows, unsigned workers);
  Result<void> open_pins(const std::string& directory, std::uint32_t flows);
  Result<void> attach_as_before();
  void take_over(unsigned workers);
  // `saved`: names of the flows that continue.
  void end_unsaved(const std::vector<PacketEntry>& entries,
                   std::unordered_set<std::uint64_t> saved);
  Hook attach(std::uint32_t interface);
  bool allows(const Interface& interface) const;
  void hook_entrances();
  void run(const std::stop_token& stop);
  void forward_events();
  void on_routes_changed();

  std::vector<std::string> allowed_;  // Names of interfaces; empty: all.
  std::optional<PinDirectory> pins_;
  std::optional<SavedFlows> saved_;
  bool leaves_flows_ = false;
  std::vector<std::vector<LeftFlow>> left_;  // By worker.
  std::unique_ptr<PacketSplice> splice_;
  PacketSelfTest self_test_;
  GracePeriods grace_;
  std::vector<std::unique_ptr<PacketInbox>> inboxes_;
  std::vector<packet_event> events_;
  UniqueFd watch_;
  UniqueFd stop_fd_;
  std::atomic<std::uint64_t> routes_version_{1};
  std::atomic<std::uint32_t> held_ports_{0};

  mutable std::mutex mutex_;  // Protects what follows.
  std::optional<TcAttacher> ethernet_;
  std::optional<TcAttacher> raw_ip_;
  std::optional<RouteLookup> interfaces_;
  std::map<std::uint32_t, Hook> hooks_;  // By interface.
  bool in_use_ = false;                  // A connection has asked for a hook, or a flow was left.
  bool entrances_hooked_ = false;        // All of them, since interfaces last changed,
  std::unordered_set<std::uint32_t> refused_;  // but for these, which are not tried again.
  std::vector<std::string> steps_;

  std::jthread thread_;
};

}  // namespace sni
