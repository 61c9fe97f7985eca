#include "net/loop/ring.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <string>

namespace sni {

namespace {

// Room for completions in one turn besides those of submitted requests: multishot accepts and
// polls. The kernel keeps completions that do not fit (IORING_FEAT_NODROP), at a cost.
constexpr unsigned completions_per_entry = 4;

int queue_init(unsigned entries, unsigned extra_flags, io_uring& ring) {
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | extra_flags;
  params.cq_entries = entries * completions_per_entry;
  return io_uring_queue_init_params(entries, &ring, &params);
}

// A connect to a UNIX socket with a full backlog is the only request that the kernel runs in a
// thread of its own. Without a bound it would start one for each of them.
constexpr unsigned kernel_threads_max = 16;

// How long a turn without memory for its requests waits for completions: 1 ms.
__kernel_timespec memory_pause{.tv_sec = 0, .tv_nsec = 1'000'000};

// Intervals of pause() as multiples of the shortest: the kernel reads one only when its request is
// submitted.
auto pauses = [] {
  std::array<__kernel_timespec, Ring::pause_max / Ring::pause_min + 1> all{};
  const std::chrono::nanoseconds step = Ring::pause_min;
  for (long long i = 0; auto& each : all) each.tv_nsec = step.count() * i++;
  return all;
}();

constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

std::string refusal(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "io_uring is refused: a seccomp filter (containers: use the profile that comes with "
             "sni-proxy) or the sysctl (try 'sysctl -w kernel.io_uring_disabled=0')";
    case ENOSYS:
      return "io_uring is not there: the kernel is built without it or a seccomp filter hides it";
    case EINVAL:
      return "io_uring is too old: Linux 5.19 or newer is needed";
    case ENOMEM:
      return "io_uring gets no memory: raise the memlock limit (ulimit -l)";
    default:
      return "io_uring cannot be set up";
  }
}

}  // namespace

Result<Ring> Ring::create(unsigned entries) {
  Ring ring;
  int result = queue_init(entries, deferred, ring.ring_);
  if (result == -EINVAL) result = queue_init(entries, IORING_SETUP_COOP_TASKRUN, ring.ring_);
  if (result < 0) return fail_sys(refusal(-result), -result);
  ring.open_ = true;
  std::array<unsigned, 2> threads{0, kernel_threads_max};  // For files (unchanged), for sockets.
  io_uring_register_iowq_max_workers(&ring.ring_, threads.data());
  io_uring_register_ring_fd(&ring.ring_);  // Optional: saves a lookup per call.
  return ring;
}

RingFeatures probe_ring() {
  io_uring ring{};
  if (queue_init(8, deferred, ring) == 0) {
    io_uring_queue_exit(&ring);
    return {.available = true, .defer_taskrun = true, .reason = {}};
  }
  const int result = queue_init(8, IORING_SETUP_COOP_TASKRUN, ring);
  if (result < 0) return {.reason = refusal(-result)};
  io_uring_queue_exit(&ring);
  return {.available = true, .defer_taskrun = false, .reason = {}};
}

Ring::~Ring() {
  if (open_) io_uring_queue_exit(&ring_);
}

Ring::Ring(Ring&& other) noexcept
    : ring_(other.ring_),
      open_(std::exchange(other.open_, false)),
      waiting_(std::move(other.waiting_)) {}

// A full submission queue is submitted at once. If the kernel accepts none of it now (no memory for
// a request, or completions must be taken first), the request waits in our memory for the next
// turn. So none is refused, and nothing spins.
io_uring_sqe* Ring::next_sqe() {
  if (waiting_.empty()) {
    if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return sqe;
    io_uring_submit(&ring_);  // Whatever it returns, the queue shows whether there is room.
    if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return sqe;
  }
  return &waiting_.emplace_back();
}

// Queues them in order, as many as there is room for.
void Ring::queue_waiting() {
  while (!waiting_.empty()) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) return;
    *sqe = waiting_.front();
    waiting_.pop_front();
  }
}

void Ring::accept_multishot(int fd, OpTag tag) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_multishot_accept(sqe, fd, nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = pack(tag);
}

void Ring::receive(int fd, std::uint16_t group, std::uint32_t length, bool poll_first, OpTag tag) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_recv(sqe, fd, nullptr, length, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = group;
  if (poll_first) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe->user_data = pack(tag);
}

void Ring::receive_now(int fd, std::uint16_t group, std::uint32_t length, OpTag tag) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_recv(sqe, fd, nullptr, length, MSG_DONTWAIT);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = group;
  sqe->user_data = pack(tag);
}

void Ring::pause(OpTag tag, std::chrono::microseconds delay) {
  io_uring_sqe* sqe = next_sqe();
  const auto length = static_cast<std::size_t>(std::clamp(delay, pause_min, pause_max) / pause_min);
  io_uring_prep_timeout(sqe, &pauses[length], 0, 0);
  sqe->user_data = pack(tag);
}

void Ring::send(int fd, std::span<const std::uint8_t> bytes, int msg_flags, OpTag tag) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), msg_flags | MSG_NOSIGNAL);
  sqe->user_data = pack(tag);
}

void Ring::connect(int fd, const sockaddr* address, socklen_t length, OpTag tag) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_connect(sqe, fd, address, length);
  sqe->user_data = pack(tag);
}

void Ring::poll(int fd, std::uint32_t events, OpTag tag) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_poll_add(sqe, fd, events);
  sqe->user_data = pack(tag);
}

void Ring::read(int fd, std::span<std::uint8_t> bytes, OpTag tag) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_read(sqe, fd, bytes.data(), static_cast<unsigned>(bytes.size()), 0);
  sqe->user_data = pack(tag);
}

void Ring::cancel(OpTag target) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_cancel64(sqe, pack(target), 0);
  sqe->user_data = pack({.op = Op::cancel});
}

Result<void> Ring::turn(std::int64_t wait_ms) {
  queue_waiting();
  // Requests that do not fit now must not wait for completions that may never come.
  if (!waiting_.empty()) wait_ms = 0;
  io_uring_cqe* cqe = nullptr;
  __kernel_timespec limit{.tv_sec = wait_ms / 1000, .tv_nsec = (wait_ms % 1000) * 1'000'000};
  // Even a wait of 0 ms waits for one completion: only a waiting call runs deferred task work.
  const int result =
      io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, wait_ms < 0 ? nullptr : &limit, nullptr);
  switch (-result) {
    case ETIME:
    case EINTR:
    case EBUSY:  // Completions must be taken first.
      return {};
    case EAGAIN:  // No memory for a request now: retrying at once would not help.
      io_uring_wait_cqe_timeout(&ring_, &cqe, &memory_pause);
      return {};
    default:
      if (result < 0) return fail_sys("io_uring cannot submit", -result);
      return {};
  }
}

}  // namespace sni
