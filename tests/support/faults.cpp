#include "support/faults.h"

#include <liburing.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <initializer_list>
#include <optional>
#include <random>
#include <unordered_map>

namespace sni::test {

namespace {

FaultPlan plan;
std::atomic<bool> active{false};
std::atomic<std::uint64_t> threads{0};
std::array<std::atomic<std::uint64_t>, fault_kinds> hits;

// A request that was replaced. Completions before `from` are of earlier ones with its user_data: they
// may still be in the ring while they are handled.
struct Replaced {
  int result;
  unsigned from;
};

// Of a thread with a ring.
struct Victim {
  std::mt19937_64 random;
  std::unordered_map<std::uint64_t, Replaced> results;  // By user_data.
};
thread_local std::optional<Victim> victim;

bool strikes(Fault fault) {
  if (!victim || !active) return false;
  const auto kind = static_cast<std::size_t>(fault);
  if (victim->random() % 1000 >= plan.per_mille[kind]) return false;
  hits[kind].fetch_add(1, std::memory_order_relaxed);
  return true;
}

int one_of(std::initializer_list<int> errors) {
  return *(errors.begin() + victim->random() % errors.size());
}

template <typename Length>
void shorten(Length& length) {
  if (length > 1) length = static_cast<Length>(1 + victim->random() % (length - 1));
}

// Such an error means that the socket is dead, so it must be: the peer gets an RST, and all other
// operations on the socket fail.
void disconnect(int fd) {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  static_cast<void>(::connect(fd, &nobody, sizeof nobody));
}

// The error of a request that is to fail, or 0.
int error_for(io_uring_sqe& request) {
  switch (request.opcode) {
    case IORING_OP_RECV:
      if (strikes(Fault::receive_short)) shorten(request.len);
      if (strikes(Fault::receive_again)) return one_of({EAGAIN, EINTR, ENOBUFS});
      if (!strikes(Fault::receive_dies)) return 0;
      disconnect(request.fd);
      return one_of({ECONNRESET, ETIMEDOUT, EHOSTUNREACH});
    case IORING_OP_SEND:
      if (strikes(Fault::send_short)) shorten(request.len);
      if (strikes(Fault::send_again)) return one_of({EAGAIN, EINTR, ENOBUFS, ENOMEM});
      if (!strikes(Fault::send_dies)) return 0;
      disconnect(request.fd);
      return one_of({EPIPE, ECONNRESET, ETIMEDOUT});
    case IORING_OP_CONNECT:
      if (strikes(Fault::connect)) return one_of({ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL, ENOMEM});
      return 0;
    case IORING_OP_ACCEPT:
      return strikes(Fault::accept) ? one_of({EMFILE, ENFILE, ENOMEM, ECONNABORTED}) : 0;
    case IORING_OP_POLL_ADD:
      return strikes(Fault::poll) ? ENOMEM : 0;
    default:
      return 0;
  }
}

void sabotage(io_uring& ring) {
  for (unsigned at = ring.sq.sqe_head; at != ring.sq.sqe_tail; ++at) {
    io_uring_sqe& request = ring.sq.sqes[at & *ring.sq.kring_mask];
    const int error = error_for(request);
    if (error == 0) continue;
    victim->results[request.user_data] = {.result = -error,
                                          .from = io_uring_smp_load_acquire(ring.cq.ktail)};
    const std::uint64_t user_data = request.user_data;
    io_uring_prep_nop(&request);
    request.user_data = user_data;
  }
}

void deliver(io_uring& ring) {
  unsigned head;
  io_uring_cqe* completion;
  io_uring_for_each_cqe(&ring, head, completion) {
    const auto found = victim->results.find(completion->user_data);
    if (found == victim->results.end()) continue;
    if (static_cast<int>(head - found->second.from) < 0) continue;
    completion->res = found->second.result;
    victim->results.erase(found);
  }
}

}  // namespace

Faults::Faults(const FaultPlan& wanted) {
  plan = wanted;
  for (auto& each : hits) each = 0;
  threads = 0;
  active = true;
}

Faults::~Faults() {
  active = false;
}

std::uint64_t Faults::injected(Fault fault) {
  return hits[static_cast<std::size_t>(fault)];
}

}  // namespace sni::test

// ---- What the linker puts in the place of the calls --------------------------------------------

// NOLINTBEGIN(bugprone-reserved-identifier): the names that --wrap gives.
using sni::test::Fault;
using sni::test::strikes;
using sni::test::victim;

extern "C" {

int __real_io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* params);
int __wrap_io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* params) {
  if (sni::test::active) {
    victim.emplace();
    victim->random.seed(sni::test::plan.seed + 1'000'003 * sni::test::threads.fetch_add(1));
    if (sni::test::plan.ring_entries != 0) {
      entries = params->cq_entries = sni::test::plan.ring_entries;
    }
  }
  return __real_io_uring_queue_init_params(entries, ring, params);
}

int __real_io_uring_submit(io_uring* ring);
int __wrap_io_uring_submit(io_uring* ring) {
  if (!victim) return __real_io_uring_submit(ring);
  if (strikes(Fault::submit)) return -sni::test::one_of({EAGAIN, EBUSY, EINTR});
  sni::test::sabotage(*ring);
  const int result = __real_io_uring_submit(ring);
  sni::test::deliver(*ring);
  return result;
}

int __real_io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** completion,
                                            unsigned wanted, __kernel_timespec* limit,
                                            sigset_t* signals);
int __wrap_io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** completion,
                                            unsigned wanted, __kernel_timespec* limit,
                                            sigset_t* signals) {
  if (victim) {
    if (strikes(Fault::submit)) return -sni::test::one_of({EAGAIN, EBUSY, EINTR});
    sni::test::sabotage(*ring);
  }
  const int result =
      __real_io_uring_submit_and_wait_timeout(ring, completion, wanted, limit, signals);
  if (victim) sni::test::deliver(*ring);
  return result;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol) {
  if (!strikes(Fault::socket)) return __real_socket(family, type, protocol);
  errno = sni::test::one_of({EMFILE, ENFILE, ENOBUFS});
  return -1;
}

int __real_pipe2(int* ends, int flags);
int __wrap_pipe2(int* ends, int flags) {
  if (!strikes(Fault::pipe)) return __real_pipe2(ends, flags);
  errno = sni::test::one_of({EMFILE, ENFILE});
  return -1;
}

ssize_t __real_splice(int from, off64_t* from_at, int to, off64_t* to_at, size_t length,
                      unsigned flags);
ssize_t __wrap_splice(int from, off64_t* from_at, int to, off64_t* to_at, size_t length,
                      unsigned flags) {
  int error = 0;
  if (strikes(Fault::splice_short)) sni::test::shorten(length);
  if (strikes(Fault::splice_again)) error = sni::test::one_of({EAGAIN, EINTR});
  if (strikes(Fault::splice_dies)) {
    sni::test::disconnect(from);  // One of them is a pipe, which this does not affect.
    sni::test::disconnect(to);
    error = sni::test::one_of({ECONNRESET, EPIPE, ETIMEDOUT});
  }
  if (error == 0) return __real_splice(from, from_at, to, to_at, length, flags);
  errno = error;
  return -1;
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
