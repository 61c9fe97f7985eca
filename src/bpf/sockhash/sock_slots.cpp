#include "bpf/sockhash/sock_slots.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace sni {
namespace {

// Send space that is never granted: the kernel charges whole pages and sk_buffs, and the backend
// may write from two threads at once.
constexpr std::uint32_t credit_margin = 64 * 1024;
// Below this a pair asks for more: about fifty small messages.
constexpr std::uint32_t credit_low = 128 * 1024;

template <typename T>
T load(T& word) {
  return std::atomic_ref(word).load(std::memory_order_acquire);
}

template <typename T>
void store(T& word, T value) {
  std::atomic_ref(word).store(value, std::memory_order_release);
}

__u64 credit_word(__u64 owner, std::uint32_t bytes) {
  return owner << 32 | bytes;
}

}  // namespace

SockSlots::SockSlots(Sockhash& sockhash, unsigned worker)
    : sockhash_(sockhash),
      worker_(worker),
      sock_map_(sockhash.map_fd("SOCK_MAP")),
      source_map_(sockhash.map_fd("SOURCE_MAP")),
      registered_(sockhash.map_fd("REGISTERED")),
      local_map_(sockhash.map_fd("LOCAL_MAP")),
      source_pair_(sockhash.map_fd("SOURCE_PAIR")) {
  const auto share = sockhash.slots() / sockhash.workers();
  for (std::uint32_t i = 0; i < share; i++) free_.push_back(worker * share + i);
  const auto on_notice = [](void* self, void* data, std::size_t size) {
    auto* slots = static_cast<SockSlots*>(self);
    const auto* notice = static_cast<const sock_notice*>(data);
    if (size == sizeof(*notice) && load(slots->at(notice->slot).owner) == notice->owner)
      slots->noticed_.push_back(notice->slot);
    return 0;
  };
  ring_ = ring_buffer__new(sockhash.ring_fd(worker), on_notice, this, nullptr);
}

SockSlots::~SockSlots() {
  if (ring_) ring_buffer__free(ring_);
}

std::optional<std::uint32_t> SockSlots::take(std::uint64_t owner) {
  if (free_.empty() || owner == 0) return std::nullopt;
  const auto index = free_.front();
  free_.pop_front();
  sock_slot& slot = at(index);
  slot = sock_slot{.worker = worker_};
  store(slot.owner, static_cast<__u64>(owner));
  return index;
}

void SockSlots::give_back(std::uint32_t index) {
  sock_slot& slot = at(index);
  const __u64 owner = slot.owner;
  const bool announced = slot.announced && !load(slot.expected);
  const bool sourced = slot.sourced;
  store(slot.owner, __u64{0});
  store(slot.credit, __u64{0});
  store(slot.armed, __u32{0});
  if (announced) bpf_map_delete_elem(registered_, &owner);
  if (sourced) bpf_map_delete_elem(source_pair_, &owner);
  free_.push_back(index);
}

Result<void> SockSlots::expect_backend(std::uint32_t index, std::uint64_t client_cookie) {
  const __u64 owner = at(index).owner;
  const sock_pair pair{.client = client_cookie, .slot = index};
  if (bpf_map_update_elem(registered_, &owner, &pair, BPF_ANY) != 0)
    return fail_sys("cannot announce a backend connection", errno);
  at(index).announced = 1;
  return {};
}

bool SockSlots::caught(std::uint32_t index) const {
  return load(at(index).backend) != 0;
}

bool SockSlots::left_out(std::uint32_t index) const {
  return load(at(index).left_out) != 0;
}

bool SockSlots::blocking(std::uint32_t index) const {
  return load(at(index).blocking) != 0;
}

// Unlike a source of redirect_skb it may leave under traffic: sk_psock_msg_verdict() passes bytes
// if it finds no program.
void SockSlots::release_backend(std::uint32_t index) {
  const __u64 backend = load(at(index).backend);
  if (backend != 0) bpf_map_delete_elem(local_map_, &backend);
}

Result<void> SockSlots::add_target(int client_fd, std::uint64_t client_cookie) const {
  const auto value = static_cast<__u64>(client_fd);
  if (bpf_map_update_elem(sock_map_, &client_cookie, &value, BPF_ANY) != 0)
    return fail_sys("cannot put the client's socket into SOCK_MAP", errno);
  return {};
}

Result<void> SockSlots::add_source(std::uint32_t index, const SourceStart& start) {
  const auto client = read_tcp_counters(start.client_fd);
  if (!client) return std::unexpected(client.error());
  at(index).written_base = client->written;
  at(index).received_base = start.received;
  const __u64 owner = at(index).owner;
  const sock_pair pair{.client = start.client_cookie, .slot = index};
  if (bpf_map_update_elem(source_pair_, &owner, &pair, BPF_ANY) != 0)
    return fail_sys("cannot store a pair in SOURCE_PAIR", errno);
  at(index).sourced = 1;
  const auto value = static_cast<__u64>(start.backend_fd);
  if (bpf_map_update_elem(source_map_, &owner, &value, BPF_ANY) != 0)
    return fail_sys("cannot put the backend's socket into SOURCE_MAP", errno);
  return {};
}

void SockSlots::set_forwarded(std::uint32_t index, std::uint64_t bytes) {
  store(at(index).forwarded, static_cast<__u64>(bytes));
}

void SockSlots::grant(std::uint32_t index, int client_fd) {
  sock_slot& slot = at(index);
  __u64 had = load(slot.credit);
  const auto space = free_send_space(client_fd);
  // The latest message may be charged and not queued yet: its sender runs concurrently.
  const auto reserve = credit_margin + load(slot.last_charge);
  const auto word = credit_word(slot.owner, space > reserve ? space - reserve : 0);
  // If the program took credit meanwhile, there was some left, and `space` is out of date.
  std::atomic_ref(slot.credit).compare_exchange_strong(had, word, std::memory_order_acq_rel);
}

bool SockSlots::wants_grant(std::uint32_t index) const {
  return static_cast<std::uint32_t>(load(at(index).credit)) < credit_low;
}

void SockSlots::arm(std::uint32_t index, std::uint32_t backlog_max) {
  at(index).backlog_max = backlog_max;
  store(at(index).armed, __u32{1});
}

void SockSlots::disarm(std::uint32_t index) {
  store(at(index).armed, __u32{0});
}

std::uint64_t SockSlots::pending(std::uint32_t index) const {
  return load(at(index).passed) - at(index).forwarded;
}

bool SockSlots::torn(std::uint32_t index) const {
  return load(at(index).torn) != 0;
}

// An exchange and not a store: if the program cleared `asleep` before us, reading its value also
// makes its addition to `passed` visible.
bool SockSlots::fall_asleep(std::uint32_t index) {
  std::atomic_ref(at(index).asleep).exchange(1, std::memory_order_seq_cst);
  if (pending(index) == 0) return true;
  store(at(index).asleep, __u32{0});
  return false;
}

bool SockSlots::source_drained(std::uint32_t index, const TcpCounters& received, bool fin) const {
  const auto seen = received.received - at(index).received_base - (fin ? 1 : 0);
  return seen == redirected(index) + passed(index);
}

bool SockSlots::target_drained(std::uint32_t index, int client_fd) const {
  const auto given = redirected(index) + at(index).forwarded;
  const auto client = read_tcp_counters(client_fd);
  if (!client || client->state == TCP_CLOSE) return true;
  return client->written - at(index).written_base == given;
}

std::uint64_t SockSlots::redirected(std::uint32_t index) const {
  return load(at(index).redirected);
}

std::uint64_t SockSlots::passed(std::uint32_t index) const {
  return load(at(index).passed);
}

std::uint32_t SockSlots::backlog_peak(std::uint32_t index) const {
  return load(at(index).backlog_peak);
}

int SockSlots::notice_fd() const {
  return sockhash_.ring_fd(worker_);
}

std::optional<std::uint32_t> SockSlots::take_notice() {
  if (noticed_.empty() && ring_) ring_buffer__consume(ring_);
  if (noticed_.empty()) return std::nullopt;
  const auto slot = noticed_.back();
  noticed_.pop_back();
  return slot;
}

void kick_source(int backend_fd) {
  // tcp_set_rcvlowat() calls tcp_data_ready() on every kernel; the value is the default.
  const int low = 1;
  ::setsockopt(backend_fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
}

}  // namespace sni
