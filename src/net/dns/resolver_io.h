#pragma once

#include <cstdint>

namespace sni {

// Readiness of the resolver's sockets, provided by the worker. A watch is one-shot and known by its
// id, never by its descriptor: c-ares may close a descriptor and open another with the same number
// within one call, and a completion of the old one may still be on its way. Ids are not reused (a
// 32-bit count from 1), so Resolver::on_ready() gets a late or cancelled completion with an unknown
// id and ignores it.
//
// Over io_uring: watch() queues a poll, unwatch() queues its removal. At unwatch() the descriptor
// is still open, but it is closed right after, perhaps before the queue is submitted. The poll may
// then fail with EBADF, or watch another socket until its removal, next in the queue, takes effect.
// Either way its completion has the old id.
class ResolverIo {
 public:
  virtual ~ResolverIo() = default;
  // Calls on_ready(id, ...) once when fd is readable or writable, as requested, or in error: later,
  // from the loop, never from within watch() or unwatch().
  virtual void watch(std::uint32_t id, int fd, bool readable, bool writable) = 0;
  virtual void unwatch(std::uint32_t id) = 0;
};

}  // namespace sni
