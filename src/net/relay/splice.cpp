#include "net/relay/splice.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

#include "net/socket.h"

namespace sni {

std::unique_ptr<Splice> Splice::open(std::uint32_t bytes_max) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return nullptr;
  auto splice = std::make_unique<Splice>();
  splice->read_end_ = UniqueFd::adopt(ends[0]);
  splice->write_end_ = UniqueFd::adopt(ends[1]);
  // Without CAP_SYS_RESOURCE all pipes of a user share fs.pipe-user-pages-soft, and a pipe has at
  // most fs.pipe-max-size: a refused size is retried at half.
  for (std::uint32_t size = bytes_max; size >= splice_bytes_min; size /= 2) {
    const int got = fcntl(ends[1], F_SETPIPE_SZ, size);
    if (got < static_cast<int>(size)) continue;
    splice->capacity_ = static_cast<std::uint32_t>(got);
    return splice;
  }
  return nullptr;
}

ssize_t Splice::fill(int source) {
  const ssize_t n = ::splice(source, nullptr, write_end_.get(), nullptr, limits::splice_bytes,
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n < 0) return -errno;
  held_ += static_cast<std::uint32_t>(n);
  return n;
}

ssize_t Splice::drain(int target, std::uint32_t least) {
  const std::uint32_t room = send_room(target);
  if (room < std::min(held_, least)) return -EAGAIN;
  const ssize_t n = ::splice(read_end_.get(), nullptr, target, nullptr, std::min(held_, room),
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n < 0) return -errno;
  held_ -= static_cast<std::uint32_t>(n);
  return n;
}

void Splice::take_all(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::read(read_end_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // Cannot happen: the pipe has that many bytes.
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  held_ = 0;
}

void bound_splice_waits(int fd) {
  const timeval tick{.tv_sec = 0, .tv_usec = 1};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
}

std::unique_ptr<Splice> SplicePool::borrow(std::uint64_t relay_memory) {
  if (borrowed_ >= pipes_max_) return nullptr;
  const std::uint64_t share = pipes_share(relay_memory);
  if (spare_.empty()) {
    auto opened = open(share);
    if (opened == nullptr) return nullptr;
    spare_.push_back(std::move(opened));
  }
  const std::uint64_t capacity = spare_.back()->capacity();
  if (budget_.in_pipes.fetch_add(capacity, std::memory_order_relaxed) + capacity > share) {
    budget_.in_pipes.fetch_sub(capacity, std::memory_order_relaxed);
    return nullptr;
  }
  ++borrowed_;
  auto splice = std::move(spare_.back());
  spare_.pop_back();
  return splice;
}

void SplicePool::give_back(std::unique_ptr<Splice> splice) {
  --borrowed_;
  budget_.in_pipes.fetch_sub(splice->capacity(), std::memory_order_relaxed);
  if (splice->held() == 0) spare_.push_back(std::move(splice));
}

std::unique_ptr<Splice> SplicePool::open(std::uint64_t share) {
  const auto wanted = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(limits::splice_bytes, std::bit_floor(share / pipes_least)));
  auto splice = Splice::open(wanted);
  if (splice == nullptr || splice->capacity() >= limits::splice_bytes) return splice;
  if (std::exchange(full_size_, false) && splice->capacity() < wanted) {
    spdlog::warn(
        "kernel pipes for bulk have {} KiB instead of {}: fs.pipe-user-pages-soft or "
        "fs.pipe-max-size "
        "allows no more (CAP_SYS_RESOURCE lifts both)",
        splice->capacity() / 1024, wanted / 1024);
  }
  return splice;
}

void SplicePool::stalled(StalledSplice& holder, std::uint64_t now_ms) {
  if (std::exchange(holder.listed_, true)) return;
  holder.since_ms_ = now_ms;
  holder.before_ = last_;
  holder.after_ = nullptr;
  (last_ == nullptr ? first_ : last_->after_) = &holder;
  last_ = &holder;
}

void SplicePool::moved(StalledSplice& holder) {
  if (!std::exchange(holder.listed_, false)) return;
  (holder.before_ == nullptr ? first_ : holder.before_->after_) = holder.after_;
  (holder.after_ == nullptr ? last_ : holder.after_->before_) = holder.before_;
}

StalledSplice* SplicePool::longest_stalled(std::uint64_t now_ms) const {
  if (first_ == nullptr || now_ms < first_->since_ms_ + splice_stalled_ms) return nullptr;
  return first_;
}

}  // namespace sni
