#pragma once

// Theory of operation: the packet plane (bpf/packet/) for one worker. A connection goes through
// these steps; one that cannot be joined is declined with a counted reason and stays in the relay:
//
//   announce   before connect(): its local port can be held later (bpf/packet/local_ports.h), it
//              promises less window than the client probably has, and the backend is told the
//              client's MSS; otherwise its segments might not fit the client's path
//   wants      after bytes have moved: if the connection is old or large enough, its two keys are
//              watched. Once packets of both directions have arrived under them, the relay must
//              come to rest
//   step at rest: the hand-over (bpf/packet/handover.h), until the flow is spliced or given back
//   adopt      the sockets are gone. The flow stays here until it ends by an event of the programs,
//              a timeout, a ban or kill_all(). With fast_path.pin it may outlive the process, and
//              the next one restores it
//
// After its end a flow lingers, so that retransmissions of its last packets are still translated.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bpf/packet/conntrack.h"
#include "bpf/packet/handover.h"
#include "bpf/packet/local_ports.h"
#include "bpf/packet/packet_splice.h"
#include "bpf/packet/route_lookup.h"
#include "core/config/config.h"
#include "core/packet/flow_watch.h"
#include "core/session/counters.h"
#include "net/flow/ledger.h"
#include "net/flow/live_flow.h"
#include "net/guard/admission.h"
#include "net/loop/slots.h"
#include "net/planes/handover_pace.h"
#include "net/planes/packet_service.h"
#include "net/planes/plane.h"

namespace sni {

// What an entry says of the end whose packets it describes.
SeenEnd seen_end(const packet_flow& flow);
// The end of a flow that was reset by `side` (enum packet_side).
constexpr EndReason reset_by(std::uint32_t side) {
  return side == PACKET_CLIENT ? EndReason::client_reset : EndReason::backend_reset;
}

class PlanePacket {
 public:
  // A flow whose end must be reported to the ledger.
  struct Ended {
    Flow* flow;
    FlowEnd end;
  };

  // What living flows are checked by.
  struct Rules {
    const Admission& admission;
    const TcpConfig& tcp;
  };

  PlanePacket(PacketService& service, const FastPathConfig& config, PacketCounts& counts,
              const PacketShare& share, unsigned worker, std::uint64_t run);
  ~PlanePacket();

  // no_ticket: declined. `backend` is not connected yet.
  PlaneTicket announce(int client, int backend, const Endpoint& target, std::uint64_t now_ms);
  // For a connection that is not announced. Port 0: a UNIX socket.
  void decline(packet_decline why, const Endpoint& target);
  // Whether the relay must come to rest for step(). declined: the ticket is gone.
  PlaneAnswer wants(PlaneTicket ticket, const PlaneView& view, std::uint64_t now_ms);
  // To be called when nothing is in flight on either socket and nothing is held. `idle`: how long
  // an end may acknowledge nothing.
  HandoverStep step(PlaneTicket ticket, const PlaneView& view, std::chrono::milliseconds idle);
  // The relay does not come to rest: wants() says so again after a while.
  void put_off(PlaneTicket ticket, std::uint64_t now_ms);
  // After `spliced`. The flow stays in the ledger; the ticket is gone.
  void adopt(PlaneTicket ticket, Flow& flow, const PlaneView& view, const IdleTimeouts& timeouts,
             std::uint64_t now_ms);
  // Flows of an earlier process that belong to this worker now; each must be restored.
  std::vector<LeftFlow> take_left() { return service_.take_left(worker_); }
  void restore(const LeftFlow& left, Flow& flow);
  // Whether live flows do not delay the end, since the next process takes them over.
  bool leaves_flows() const { return service_.leaves_flows(); }
  // The connect failed, or the connection ends in the relay. The ticket is gone.
  void leave(PlaneTicket ticket, bool connected, std::uint64_t now_ms);

  // Readable when work() has something to do.
  int fd() const { return service_.inbox(worker_).fd(); }
  // Takes events and checks some of the flows.
  void work(const Rules& rules, std::uint64_t now_ms, std::vector<Ended>& ended);
  // Resets all flows, both ways.
  void kill_all(EndReason reason, std::vector<Ended>& ended);
  // Resets one, both ways; `flow` is the Flow's `splice`.
  void kill(std::uint64_t flow, EndReason reason, std::uint64_t now_ms, std::vector<Ended>& ended);
  // nullopt: there is no such flow.
  std::optional<FlowProgress> progress(std::uint64_t flow) const;
  std::size_t living() const { return flows_.size(); }

 private:
  // A connection that is not spliced yet.
  struct Pair {
    Endpoint target;
    std::uint16_t port = 0;  // From LocalPorts::share(); 0: the kernel chose it.
    std::uint64_t name = 0;  // Not 0: the keys are watched.
    PacketPair keys;
    std::uint64_t watched_ms = 0;
    HandoverPace pace;
    std::uint32_t client_ifindex = 0;
    std::uint32_t backend_ifindex = 0;
    bool tracked = false;  // conntrack has an entry of one of its connections.
    bool counted = false;  // As declined, though it is tried again.
    std::unique_ptr<Handover> handover;
  };
  struct Spliced {
    Flow* flow = nullptr;
    PacketPair keys;
    FlowWatch watch;
    std::array<std::uint64_t, 2> relayed{};  // Bytes before the hand-over, by side.
    std::array<std::uint32_t, 2> ifindex{};  // By side: interface of packets to it.
    std::uint64_t routes_version = 0;
  };
  struct Lingering {
    std::uint64_t name;
    PacketPair keys;
    std::uint64_t until_ms;
  };

  packet_decline watch(Pair& pair, const PlaneView& view, std::uint64_t now_ms);
  // Whether netfilter of this host translates one of the two connections.
  bool is_translated(Pair& pair);
  Conntrack* conntrack();
  PlaneAnswer decline(PlaneTicket ticket, packet_decline why, const PlaneView& view);
  std::optional<PacketRoute> route(const IpAddress& source, const Endpoint& target,
                                   std::uint64_t now_ms);
  HandoverPair handover_pair(const Pair& pair, const PlaneView& view) const;
  // Adds a flow, whichever process handed it over. The caller says when it is checked first.
  Spliced& keep(std::uint64_t name, Spliced spliced);
  void save(std::uint64_t name, const Spliced& flow);
  static std::uint16_t local_port(const PacketPair& keys);
  bool hold_port(const Pair& pair);
  void release_port(const Endpoint& target, std::uint16_t port, bool rest, std::uint64_t now_ms);
  void count_ports();
  // Whether a hand-over would find both ends ready.
  PlaneAnswer wants_rest(Pair& pair, const PlaneView& view, std::uint64_t now_ms);
  // A try has failed, or would.
  void retry(Pair& pair, packet_decline why, const PlaneView& view);
  static void log_pause(const Pair& pair, std::chrono::milliseconds pause, std::string_view why);
  void end_handover(Pair& pair, bool cut, std::uint64_t now_ms);

  void on_event(const packet_event& event, std::uint64_t now_ms, std::vector<Ended>& ended);
  void look_at_some(const Rules& rules, std::uint64_t now_ms, std::vector<Ended>& ended);
  // false: there is no such flow.
  bool look_at(std::uint64_t name, const Rules& rules, std::uint64_t now_ms,
               std::vector<Ended>& ended);
  // nullopt: it is alive. Sends the probes that are due.
  std::optional<EndReason> verdict_on(Spliced& flow, const Rules& rules, const packet_flow& client,
                                      const packet_flow& backend);
  void follow_route(std::uint64_t name, Spliced& flow, std::uint64_t now_ms);
  void end(std::uint64_t name, const FlowEnd& end, bool kill, std::uint64_t now_ms,
           std::vector<Ended>& ended);
  void end_lingering(std::uint64_t now_ms);

  PacketService& service_;
  FastPathConfig config_;
  PacketCounts& counts_;
  unsigned worker_;
  std::uint64_t run_;
  bool stamps_;       // This host's connections use TCP timestamps.
  bool far_clients_;  // The plane may have clients that are far from a near backend.
  std::uint64_t next_number_;
  std::uint32_t handovers_ = 0;  // Under way.
  std::uint32_t handovers_max_;
  LocalPorts ports_;
  std::uint32_t counted_ports_ = 0;  // In PacketService::held_ports().
  std::optional<RouteLookup> lookup_;
  std::optional<Conntrack> conntrack_;
  Slots<Pair> pairs_;
  std::unordered_map<std::uint64_t, Spliced> flows_;
  static constexpr std::uint64_t look_tick_ms = 1'000;  // How often some flows are checked.
  // Names of flows, the one to check next in front, and of those to check at the next tick: they wait
  // for the answer to a probe, or are new and may have ended while on_event() did not know them yet.
  std::deque<std::uint64_t> order_;
  std::vector<std::uint64_t> soon_;
  std::deque<Lingering> lingering_;
  std::uint64_t looked_ms_ = 0;
  std::uint64_t routes_followed_ =
      0;                       // Version of the routes by which all flows have been checked,
  std::size_t to_follow_ = 0;  // but for so many that come first in order_.

  // Recently looked-up routes.
  struct Way {
    Endpoint target;
    IpAddress source;
    std::uint64_t version = 0;
    std::uint64_t until_ms = 0;
    PacketRoute route;
  };
  static constexpr std::size_t ways_max = 256;
  std::array<Way, ways_max> ways_;
};

}  // namespace sni
