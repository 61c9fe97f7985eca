#include "net/relay/splice.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/socket.h"

namespace sni {

std::unique_ptr<Splice> Splice::open() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return nullptr;
  auto splice = std::make_unique<Splice>();
  splice->read_end_ = UniqueFd::adopt(ends[0]);
  splice->write_end_ = UniqueFd::adopt(ends[1]);
  // Beyond fs.pipe-user-pages-soft pipes are small, and then worth nothing here.
  const int size = fcntl(ends[1], F_SETPIPE_SZ, limits::splice_bytes);
  return size >= static_cast<int>(limits::splice_bytes) ? std::move(splice) : nullptr;
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

void bound_splice_waits(int fd) {
  const timeval tick{.tv_sec = 0, .tv_usec = 1};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
}

std::unique_ptr<Splice> SplicePool::borrow() {
  if (borrowed_ >= limits::splices_max) return nullptr;
  std::unique_ptr<Splice> splice;
  if (spare_.empty()) {
    splice = Splice::open();
  } else {
    splice = std::move(spare_.back());
    spare_.pop_back();
  }
  if (splice != nullptr) ++borrowed_;
  return splice;
}

void SplicePool::give_back(std::unique_ptr<Splice> splice) {
  --borrowed_;
  if (splice->held() == 0) spare_.push_back(std::move(splice));
}

}  // namespace sni
