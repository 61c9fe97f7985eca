#pragma once

#include <cstdint>

namespace sni {

// Readiness of the resolver's sockets, as the worker provides it. A watch is one-shot and known by
// its id, never by its descriptor: c-ares may close a descriptor and open another with the same
// number within one call, and a completion of the old one may still be on its way. Ids are not used
// again (a 32-bit count from 1), so a late or cancelled completion comes to Resolver::on_ready()
// with an id that nobody holds any more and is ignored there.
//
// Over io_uring: watch() queues a poll, unwatch() queues its removal. When unwatch() is called the
// descriptor is still open, but it is closed right after, maybe before the queue is submitted: the
// poll may then fail with EBADF or look at another socket until its removal, next in the queue, is
// reached. Either way its completion carries the dead id.
class ResolverIo {
 public:
  virtual ~ResolverIo() = default;
  // Has on_ready(id, ...) called once when fd is readable or writable, as asked for, or in error:
  // later, from the loop, never from within watch() or unwatch().
  virtual void watch(std::uint32_t id, int fd, bool readable, bool writable) = 0;
  virtual void unwatch(std::uint32_t id) = 0;
};

}  // namespace sni
