#pragma once

// The loaded packet plane: programs, map of flows, ring buffer of events. One per process. It
// identifies flows by their two keys and reports what the programs saw of them. handover.h hands
// sockets over, and tc_attachment.h attaches the programs to interfaces.
//
// Load it at the start, on one thread, in the network namespace of the flows. Afterwards all functions are thread-safe except
// take_events() and scan(), which belong to one thread at a time.
//
// The life of a flow: watch() for both keys, the client's at accept and the backend's before
// connect; begin(), publish() and finish_transition() by Handover; its end, reported by an event or
// the scan; forget(), and release_forgotten() a while later.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/packet/packet_segment.h"
#include "bpf/packet/packet_shared.h"
#include "core/address/address.h"
#include "core/error.h"

struct ring_buffer;
struct packet_splice;  // The skeleton that bpftool makes.

namespace sni {

struct PacketOptions {
  std::uint32_t flows = 65536;  // Concurrent; each takes two entries of 256 bytes.
  // A directory of a BPF file system in which the maps are pinned or found; empty: none. Its name
  // should include PACKET_LAYOUT: maps of another layout are an error.
  std::string pin_directory;
};

// The keys of both directions: of packets from the client and from the backend.
struct PacketPair {
  packet_key client{};
  packet_key backend{};
};

// IPv4 may be given v4-mapped.
packet_key make_packet_key(const Endpoint& source, const Endpoint& target);
// The key of packets in the opposite direction.
packet_key reversed(const packet_key& key);
Endpoint packet_source(const packet_key& key);
Endpoint packet_target(const packet_key& key);

// What the programs saw of S's packets since watch().
struct PacketSeen {
  bool seen = false;
  std::uint32_t ifindex = 0;  // Where the latest packet arrived.
  bool closing = false;       // FIN or RST.
  bool odd_options = false;   // Unknown options.
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

  // Starts to observe S's packets under `key`. `flow` is not 0 and is unique among live flows. An
  // entry of a finished or forgotten flow under that key is replaced; one of a live flow is an
  // error (EEXIST). A full table is E2BIG.
  Result<void> watch(const packet_key& key, std::uint64_t flow, packet_side side);
  // Undoes watch() for a key that was only watched: deletes its entry unless it belongs to another
  // flow.
  void unwatch(const packet_key& key, std::uint64_t flow);
  PacketSeen seen(const packet_key& key) const;
  std::optional<packet_flow> read(const packet_key& key) const;

  // Starts the transition of two watched entries: sets the numbers, then both states. On an error
  // both are observed as before.
  Result<void> begin(const PacketPair& pair, const packet_flow& client, const packet_flow& backend);
  // Raises owned_end of one entry.
  Result<void> publish(const packet_key& key, std::uint64_t flow, std::uint32_t owned_end);
  // The proxy's socket has read S's bytes up to `sent` and may have opened S's window up to `edge`.
  // To be called before those bytes are written to R, or R's acknowledgement would not be believed.
  Result<void> widen(const packet_key& key, std::uint64_t flow, std::uint32_t sent,
                     std::uint32_t edge);
  // The proxy's socket received S's FIN, which ends at `fin_end` in S's space.
  Result<void> note_fin(const packet_key& key, std::uint64_t flow, std::uint32_t fin_end);
  // From now on every packet is forwarded, and the local sockets may leave.
  Result<void> finish_transition(const PacketPair& pair, std::uint64_t flow);
  // The way to R has changed.
  Result<void> route(const packet_key& key, std::uint64_t flow, std::uint32_t ifindex);

  // Resets both ends with the numbers of the entries and forgets the flow. The host's own TCP
  // answers what they still send.
  Result<void> kill(const PacketPair& pair, std::uint64_t flow);
  // To the ends of spliced flows.
  const SegmentSender& sender() const { return sender_; }
  // From now on the flow's packets go to the local stack. The entries stay until
  // release_forgotten(), since a CPU may hold one for a moment.
  void forget(const PacketPair& pair, std::uint64_t flow);
  // Deletes entries forgotten more than a second ago; to be called about once a second. `now_ns` is
  // CLOCK_MONOTONIC.
  void release_forgotten(std::uint64_t now_ns);

  // Readable when there are events: for poll, epoll and io_uring.
  int events_fd() const;
  // Appends all waiting events.
  void take_events(std::vector<packet_event>& events);

  // Appends up to `limit` entries and advances the cursor; false: there are no more. Entries added
  // or removed meanwhile may be missed or returned twice.
  struct Cursor {
    std::uint32_t bucket = 0;
    bool started = false;
  };
  Result<bool> scan(Cursor& cursor, std::uint32_t limit, std::vector<PacketEntry>& entries) const;

  PacketCounters counters() const;
  std::uint32_t flows() const { return flows_; }
  // TRAFFIC_STATS, PACKET_FLOWS and PACKET_EVENTS, for tests.
  int map_fd(const char* name) const;
  // The id of PACKET_FLOWS, which identifies the filters of pinned programs.
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
  SegmentSender sender_;
  std::unique_ptr<ring_buffer, FreeRing> ring_;
  std::vector<packet_event> taken_;  // Read from the ring buffer, not yet returned.
  std::vector<std::string> steps_;
  bool took_over_ = false;
  std::uint32_t flows_ = 0;
  struct Lists;
  std::unique_ptr<Lists> lists_;  // Forgotten entries, under a lock.
};

}  // namespace sni
