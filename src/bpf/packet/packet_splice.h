#pragma once

// The loaded packet plane: programs, map of flows, ring buffer of events. One per process. It knows
// flows by their two keys and says what the programs saw of them; the hand-over of sockets is
// handover.h's part, attaching the programs to interfaces tc_attachment.h's.
//
// Loading is for the start, on one thread. Afterwards every function but take_events() and scan()
// may be called from any thread; those two belong to one thread at a time.
//
// A flow's life: watch() both keys, the client's at accept and the backend's before connect; begin()
// and publish() and finish_transition() by Handover; events or the scan tell of its end; forget(),
// and release_forgotten() a while later.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/packet/packet_shared.h"
#include "core/address/address.h"
#include "core/error.h"

struct ring_buffer;
struct packet_splice;  // The skeleton that bpftool makes.

namespace sni {

struct PacketOptions {
  std::uint32_t flows = 65536;  // At once; each takes two entries of 256 bytes.
  // A directory of a BPF file system where the maps are pinned, or taken over from; empty: none.
  // Its name should hold PACKET_LAYOUT: maps of another shape are an error.
  std::string pin_directory;
};

// The keys of both directions: as the client's packets arrive and as the backend's do.
struct PacketPair {
  packet_key client{};
  packet_key backend{};
};

// Families may be written either way: v4-mapped addresses are IPv4.
packet_key make_packet_key(const Endpoint& source, const Endpoint& target);
// The tuple of a key read backwards: of the packets that go the other way.
packet_key reversed(const packet_key& key);
Endpoint packet_source(const packet_key& key);
Endpoint packet_target(const packet_key& key);

// What the programs saw of S's packets since watch().
struct PacketSeen {
  bool seen = false;
  std::uint32_t ifindex = 0;  // Where the latest arrived.
  bool closing = false;       // FIN or RST.
  bool odd_options = false;   // Options that are not understood.
};

using PacketCounters = std::array<std::uint64_t, PACKET_STATS>;
const char* to_string(packet_stat stat);
const char* to_string(packet_decline decline);
const char* to_string(packet_state state);

enum class PacketLink : std::uint8_t { ethernet, raw_ip };  // Frames with a MAC header, or none.

// An entry as it is in the map: see packet_shared.h.
struct PacketEntry {
  packet_key key{};
  packet_flow flow{};

  // Bytes that S sent since the hand-over and R acknowledged, FIN not counted.
  std::uint64_t bytes() const;
};

class PacketSplice {
 public:
  static Result<std::unique_ptr<PacketSplice>> load(const PacketOptions& options);
  PacketSplice();  // Empty; load() fills it.
  ~PacketSplice();
  PacketSplice(const PacketSplice&) = delete;
  PacketSplice& operator=(const PacketSplice&) = delete;

  // To attach at tc ingress of interfaces, and at tc egress of lo (ethernet).
  int program_fd(PacketLink link) const;
  // For the log: what was loaded, and whether maps of an earlier process were taken over.
  const std::vector<std::string>& steps() const { return steps_; }
  bool took_over() const { return took_over_; }

  // Notes S's packets under `key` from now on. `flow` is not 0 and unique among living flows. An
  // entry of a finished or forgotten flow under that key is replaced; a living one is an error
  // (EEXIST). A full table is E2BIG.
  Result<void> watch(const packet_key& key, std::uint64_t flow, packet_side side);
  // Takes a key back that was only watched: deletes its entry unless it is another flow's.
  void unwatch(const packet_key& key, std::uint64_t flow);
  PacketSeen seen(const packet_key& key) const;
  std::optional<packet_flow> read(const packet_key& key) const;

  // Both entries must be watched. Starts the transition: numbers first, then both states.
  // On an error both are observed as before.
  Result<void> begin(const PacketPair& pair, const packet_flow& client, const packet_flow& backend);
  // Raises owned_end of one entry.
  Result<void> publish(const packet_key& key, std::uint64_t flow, std::uint32_t owned_end);
  // The proxy's socket has read up to `sent` of S, and may let it send up to `edge` by now. Before
  // those bytes are written to R, or its acknowledgement would not be believed.
  Result<void> widen(const packet_key& key, std::uint64_t flow, std::uint32_t sent,
                     std::uint32_t edge);
  // The proxy's socket took S's FIN, whose end is `fin_end` in S's space.
  Result<void> note_fin(const packet_key& key, std::uint64_t flow, std::uint32_t fin_end);
  // From here on everything is forwarded, and the local sockets may leave.
  Result<void> finish_transition(const PacketPair& pair, std::uint64_t flow);
  // The way to R has changed.
  Result<void> route(const packet_key& key, std::uint64_t flow, std::uint32_t ifindex);

  // Resets both ends with the numbers that the entries know, and forgets the flow: what they still
  // send is answered by the host's own TCP. Has to be called in the network namespace of the flow.
  Result<void> kill(const PacketPair& pair, std::uint64_t flow);
  // Its packets go to the local stack from now on. The entries stay until release_forgotten(): a
  // CPU may hold one for a moment.
  void forget(const PacketPair& pair, std::uint64_t flow);
  // Deletes what was forgotten more than a second ago; to be called about once a second. `now_ns` is
  // of CLOCK_MONOTONIC.
  void release_forgotten(std::uint64_t now_ns);

  // Readable when there are events: for poll, epoll and io_uring.
  int events_fd() const;
  // Appends all that are there.
  void take_events(std::vector<packet_event>& events);

  // Appends up to `limit` entries and moves the cursor; false: that was the last one. Entries that
  // come or go meanwhile may be missed or come twice.
  struct Cursor {
    std::uint32_t bucket = 0;
    bool started = false;
  };
  Result<bool> scan(Cursor& cursor, std::uint32_t limit, std::vector<PacketEntry>& entries) const;

  PacketCounters counters() const;
  std::uint32_t flows() const { return flows_; }
  // TRAFFIC_STATS, PACKET_FLOWS and PACKET_EVENTS, for tests.
  int map_fd(const char* name) const;
  // Of PACKET_FLOWS, by which filters of pinned programs are known.
  std::uint32_t flows_map_id() const;

 private:
  struct Unload {
    void operator()(packet_splice* skeleton) const;
  };
  struct FreeRing {
    void operator()(ring_buffer* ring) const;
  };
  Result<void> set_up(const PacketOptions& options);
  Result<void> use_pins(const std::string& directory);
  Result<packet_answer> control(packet_control& request) const;
  Result<void> ask(packet_control request, const char* act) const;
  Result<void> prepare(const packet_key& key, const packet_flow& flow) const;
  Result<void> set_state(const packet_key& key, std::uint64_t flow, packet_state from,
                         packet_state to) const;

  std::unique_ptr<packet_splice, Unload> skeleton_;
  std::unique_ptr<ring_buffer, FreeRing> ring_;
  std::vector<packet_event> taken_;  // Between the ring buffer and the caller.
  std::vector<std::string> steps_;
  bool took_over_ = false;
  std::uint32_t flows_ = 0;
  struct Lists;
  std::unique_ptr<Lists> lists_;  // What was forgotten, behind a lock.
};

}  // namespace sni
