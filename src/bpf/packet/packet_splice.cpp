#include "bpf/packet/packet_splice.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <tuple>
#include <utility>

#include "bpf/libbpf_lines.h"
#include "bpf/packet/monotonic.h"
#include "core/unique_fd.h"
#include "packet_splice.skel.h"

namespace sni {
namespace {

constexpr std::uint64_t ns_per_s = 1'000'000'000;
// A program holds an entry only while it runs on its CPU; a second is plenty.
constexpr std::uint64_t forgotten_ns = ns_per_s;

const char* to_string(packet_answer answer) {
  switch (answer) {
    case PACKET_DONE:
      return "done";
    case PACKET_NO_ENTRY:
      return "its entry has gone";
    case PACKET_OTHER_FLOW:
      return "the entry is another flow's";
    case PACKET_OTHER_STATE:
      return "the entry is in another state";
  }
  return "unknown answer";
}

std::string likely_cause(int sys_errno) {
  if (sys_errno == EPERM || sys_errno == EACCES)
    return " (CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON are needed)";
  if (sys_errno == ESRCH) return " (the kernel has no BTF: CONFIG_DEBUG_INFO_BTF is off)";
  return "";
}

}  // namespace

struct PacketSplice::Lists {
  struct Forgotten {
    PacketPair pair;
    std::uint64_t flow;
    std::uint64_t at_ns;
  };
  std::mutex lock;
  std::vector<Forgotten> forgotten;
};

void PacketSplice::Unload::operator()(packet_splice* skeleton) const {
  packet_splice__destroy(skeleton);
}

void PacketSplice::FreeRing::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

PacketSplice::PacketSplice() : lists_(std::make_unique<Lists>()) {}
PacketSplice::~PacketSplice() = default;

Result<std::unique_ptr<PacketSplice>> PacketSplice::load(const PacketOptions& options) {
  auto plane = std::make_unique<PacketSplice>();
  if (auto done = plane->set_up(options); !done) return std::unexpected(done.error());
  return plane;
}

Result<void> PacketSplice::set_up(const PacketOptions& options) {
  catch_libbpf_lines();
  skeleton_.reset(packet_splice__open());
  if (!skeleton_) return fail_sys("cannot open the packet programs", errno);
  flows_ = options.flows;
  if (!options.pin_directory.empty()) {
    if (auto done = use_pins(options.pin_directory); !done) return done;
  }
  if (const int error = -bpf_map__set_max_entries(skeleton_->maps.PACKET_FLOWS, flows_ * 2);
      error != 0)
    return fail_sys("cannot size PACKET_FLOWS", error);
  if (const int error = -packet_splice__load(skeleton_.get()); error != 0) {
    auto failed = fail_sys("cannot load the packet programs", error);
    failed.error().what += likely_cause(error);
    return failed;
  }
  auto sender = SegmentSender::open();
  if (!sender) return std::unexpected(sender.error());
  sender_ = std::move(*sender);
  const auto take = [](void* plane, void* event, std::size_t) {
    static_cast<PacketSplice*>(plane)->taken_.push_back(*static_cast<packet_event*>(event));
    return 0;
  };
  ring_.reset(ring_buffer__new(bpf_map__fd(skeleton_->maps.PACKET_EVENTS), take, this, nullptr));
  if (!ring_) return fail_sys("cannot read PACKET_EVENTS", errno);
  steps_.emplace_back("programs loaded: packet_splice, packet_splice_ip, packet_control");
  steps_.push_back(std::string(took_over_ ? "maps taken over: " : "maps ready: ") +
                   "PACKET_FLOWS (" + std::to_string(flows_) +
                   " flows), PACKET_EVENTS, TRAFFIC_STATS");
  return {};
}

// libbpf pins maps that have a path, and takes over a pinned map of the same definition. The pinned
// map determines the size of the table, whatever the configuration says.
Result<void> PacketSplice::use_pins(const std::string& directory) {
  bpf_map* const maps[] = {skeleton_->maps.PACKET_FLOWS, skeleton_->maps.PACKET_EVENTS,
                           skeleton_->maps.TRAFFIC_STATS};
  for (bpf_map* map : maps) {
    const std::string path = directory + "/" + bpf_map__name(map);
    if (const int error = -bpf_map__set_pin_path(map, path.c_str()); error != 0)
      return fail_sys("cannot pin a map as " + path, error);
    const auto pinned = UniqueFd::adopt(bpf_obj_get(path.c_str()));
    if (!pinned) continue;
    took_over_ = true;
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (map != skeleton_->maps.PACKET_FLOWS) continue;
    if (bpf_obj_get_info_by_fd(pinned.get(), &info, &size) != 0)
      return fail_sys("cannot look at " + path, errno);
    flows_ = info.max_entries / 2;
  }
  return {};
}

int PacketSplice::program_fd(PacketLink link) const {
  return bpf_program__fd(link == PacketLink::ethernet ? skeleton_->progs.packet_splice
                                                      : skeleton_->progs.packet_splice_ip);
}

Result<packet_answer> PacketSplice::control(packet_control& request) const {
  LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &request, .ctx_size_in = sizeof request);
  if (const int error =
          -bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.packet_control), &run);
      error != 0)
    return fail_sys("cannot run packet_control", error);
  return static_cast<packet_answer>(request.answer);
}

Result<void> PacketSplice::ask(packet_control request, const char* act) const {
  const auto answer = control(request);
  if (!answer) return std::unexpected(answer.error());
  if (*answer != PACKET_DONE) return fail(std::string(act) + ": " + to_string(*answer));
  return {};
}

Result<void> PacketSplice::watch(const packet_key& key, std::uint64_t flow, packet_side side) {
  packet_flow entry{};
  entry.flow = flow;
  entry.side = side;
  const int fd = bpf_map__fd(skeleton_->maps.PACKET_FLOWS);
  if (bpf_map_update_elem(fd, &key, &entry, BPF_NOEXIST) == 0) return {};
  if (errno == E2BIG) return fail_sys("the table of flows is full", E2BIG);
  if (errno != EEXIST) return fail_sys("cannot watch a connection", errno);
  packet_control request{
      .key = key, .op = PACKET_WATCH, .value = 0, .expected = 0, .answer = 0, .flow = entry};
  const auto answer = control(request);
  if (!answer) return std::unexpected(answer.error());
  if (*answer != PACKET_DONE)
    return fail_sys("these addresses and ports are a living flow's", EEXIST);
  return {};
}

void PacketSplice::unwatch(const packet_key& key, std::uint64_t flow) {
  const auto entry = read(key);
  if (entry && entry->flow == flow && entry->state == PACKET_OBSERVED)
    bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.PACKET_FLOWS), &key);
}

std::optional<packet_flow> PacketSplice::read(const packet_key& key) const {
  packet_flow flow{};
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.PACKET_FLOWS), &key, &flow) != 0)
    return std::nullopt;
  return flow;
}

PacketSeen PacketSplice::seen(const packet_key& key) const {
  const auto flow = read(key);
  if (!flow) return {};
  return {.seen = flow->seen_ifindex != 0,
          .ifindex = flow->seen_ifindex,
          .closing = (flow->marks & PACKET_EARLY_FIN) != 0,
          .odd_options = (flow->marks & PACKET_ODD_OPTIONS) != 0};
}

Result<void> PacketSplice::prepare(const packet_key& key, const packet_flow& flow) const {
  return ask(
      {.key = key, .op = PACKET_PREPARE, .value = 0, .expected = 0, .answer = 0, .flow = flow},
      "cannot prepare a flow");
}

Result<void> PacketSplice::set_state(const packet_key& key, std::uint64_t flow, packet_state from,
                                     packet_state to) const {
  packet_control request{
      .key = key, .op = PACKET_SET_STATE, .value = to, .expected = from, .answer = 0, .flow = {}};
  request.flow.flow = flow;
  return ask(request, "cannot change a flow's state");
}

Result<void> PacketSplice::begin(const PacketPair& pair, const packet_flow& client,
                                 const packet_flow& backend) {
  if (auto done = prepare(pair.client, client); !done) return done;
  if (auto done = prepare(pair.backend, backend); !done) return done;
  auto done = set_state(pair.client, client.flow, PACKET_OBSERVED, PACKET_TRANSITION);
  if (!done) return done;
  done = set_state(pair.backend, backend.flow, PACKET_OBSERVED, PACKET_TRANSITION);
  if (done) return done;
  // The backend's direction has not forwarded yet, so forwarded bytes are retransmitted to the
  // socket.
  std::ignore = set_state(pair.client, client.flow, PACKET_TRANSITION, PACKET_OBSERVED);
  return done;
}

Result<void> PacketSplice::publish(const packet_key& key, std::uint64_t flow,
                                   std::uint32_t owned_end) {
  packet_control request{
      .key = key, .op = PACKET_PUBLISH, .value = owned_end, .expected = 0, .answer = 0, .flow = {}};
  request.flow.flow = flow;
  return ask(request, "cannot publish the end of our bytes");
}

Result<void> PacketSplice::widen(const packet_key& key, std::uint64_t flow, std::uint32_t sent,
                                 std::uint32_t edge) {
  packet_control request{
      .key = key, .op = PACKET_WIDEN, .value = edge, .expected = 0, .answer = 0, .flow = {}};
  request.flow.flow = flow;
  request.flow.sent = sent;
  return ask(request, "cannot widen a window");
}

Result<void> PacketSplice::note_fin(const packet_key& key, std::uint64_t flow,
                                    std::uint32_t fin_end) {
  packet_control request{
      .key = key, .op = PACKET_NOTE_FIN, .value = fin_end, .expected = 0, .answer = 0, .flow = {}};
  request.flow.flow = flow;
  return ask(request, "cannot note a FIN");
}

// A flow that has finished meanwhile counts as spliced.
Result<void> PacketSplice::finish_transition(const PacketPair& pair, std::uint64_t flow) {
  for (const packet_key& key : {pair.client, pair.backend}) {
    auto done = set_state(key, flow, PACKET_TRANSITION, PACKET_SPLICED);
    if (done) continue;
    const auto entry = read(key);
    if (!entry || entry->flow != flow || entry->state != PACKET_FINISHED) return done;
  }
  return {};
}

Result<void> PacketSplice::route(const packet_key& key, std::uint64_t flow, std::uint32_t ifindex) {
  packet_control request{
      .key = key, .op = PACKET_ROUTE, .value = ifindex, .expected = 0, .answer = 0, .flow = {}};
  request.flow.flow = flow;
  return ask(request, "cannot change a flow's route");
}

// The newest ack of an end is nearly always the next byte that it expects. If it has received more
// and not acknowledged it yet, the next byte is after the last one sent to it.
Result<void> PacketSplice::kill(const PacketPair& pair, std::uint64_t flow) {
  const auto client = read(pair.client);
  const auto backend = read(pair.backend);
  forget(pair, flow);
  Result<void> sent;
  const auto reset = [&](const packet_key& key, const std::optional<packet_flow>& receiver,
                         const std::optional<packet_flow>& peer) {
    if (!receiver || receiver->flow != flow || receiver->state == PACKET_OBSERVED) return;
    if (auto done = sender_.reset(key, receiver->ack_seen, receiver->seen_ifindex); !done)
      sent = done;
    if (!peer || peer->sent + peer->seq_delta == receiver->ack_seen) return;
    if (auto done = sender_.reset(key, peer->sent + peer->seq_delta, receiver->seen_ifindex); !done)
      sent = done;
  };
  reset(pair.client, client, backend);
  reset(pair.backend, backend, client);
  return sent;
}

void PacketSplice::forget(const PacketPair& pair, std::uint64_t flow) {
  for (const packet_key& key : {pair.client, pair.backend}) {
    packet_control request{
        .key = key, .op = PACKET_FORGET, .value = 0, .expected = 0, .answer = 0, .flow = {}};
    request.flow.flow = flow;
    std::ignore = control(request);  // A missing entry is fine.
  }
  const std::lock_guard held(lists_->lock);
  lists_->forgotten.push_back({pair, flow, monotonic_ns()});
}

void PacketSplice::release_forgotten(std::uint64_t now_ns) {
  const std::lock_guard held(lists_->lock);
  std::erase_if(lists_->forgotten, [&](const Lists::Forgotten& past) {
    if (now_ns < past.at_ns + forgotten_ns) return false;
    for (const packet_key& key : {past.pair.client, past.pair.backend}) {
      const auto entry = read(key);
      if (entry && entry->flow == past.flow && entry->state == PACKET_FORGOTTEN)
        bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.PACKET_FLOWS), &key);
    }
    return true;
  });
}

int PacketSplice::events_fd() const {
  return ring_buffer__epoll_fd(ring_.get());
}

void PacketSplice::take_events(std::vector<packet_event>& events) {
  ring_buffer__consume(ring_.get());
  events.insert(events.end(), taken_.begin(), taken_.end());
  taken_.clear();
}

Result<bool> PacketSplice::scan(Cursor& cursor, std::uint32_t limit,
                                std::vector<PacketEntry>& entries) const {
  std::vector<packet_key> keys(limit);
  std::vector<packet_flow> flows(limit);
  std::uint32_t next = 0;
  std::uint32_t found = limit;
  const int result = bpf_map_lookup_batch(bpf_map__fd(skeleton_->maps.PACKET_FLOWS),
                                          cursor.started ? &cursor.bucket : nullptr, &next,
                                          keys.data(), flows.data(), &found, nullptr);
  if (result != 0 && errno != ENOENT) return fail_sys("cannot read PACKET_FLOWS", errno);
  for (std::uint32_t i = 0; i < found; ++i) entries.push_back({keys[i], flows[i]});
  cursor = {.bucket = next, .started = true};
  return result == 0;
}

PacketCounters PacketSplice::counters() const {
  PacketCounters sums{};
  std::vector<std::uint64_t> per_cpu(
      static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  for (std::uint32_t stat = 0; stat < PACKET_STATS; stat++) {
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.TRAFFIC_STATS), &stat, per_cpu.data()) != 0)
      continue;
    for (const std::uint64_t value : per_cpu) sums[stat] += value;
  }
  return sums;
}

std::uint32_t PacketSplice::flows_map_id() const {
  bpf_map_info info{};
  __u32 size = sizeof info;
  const int fd = bpf_map__fd(skeleton_->maps.PACKET_FLOWS);
  return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

int PacketSplice::map_fd(const char* name) const {
  return bpf_object__find_map_fd_by_name(skeleton_->obj, name);
}

}  // namespace sni
