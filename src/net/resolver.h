#pragma once

// Names to addresses, inside the worker's loop. One Resolver per worker, single-threaded.
//
// A name is answered at once where possible: from an IP literal, /etc/hosts, localhost (RFC 6761)
// or the cache. Otherwise it becomes a Question: A and AAAA are asked apart through c-ares
// (net/dns_channel.h), and further callers with the same name wait for the same question. A family
// that is late does not hold back the other for longer than limits::resolution_delay_ms (RFC 8305
// section 3), and an expired answer stands in when the resolvers take longer than
// limits::stale_wait_ms or fail (RFC 8767). Answers are never delivered from within resolve(),
// on_ready() or on_tick(): they queue up and the worker takes them with take_answer() after each
// turn.
//
// Absolute or searched: a name that a client asked for is always absolute; only configured names
// take the search list of resolv.conf, by glibc's rules (ndots), so that `web:443` means in a
// container what it means to every other program there. A trailing dot makes any name absolute.

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/config.h"
#include "core/error.h"
#include "core/resolution.h"

namespace sni {

struct SystemNames;

// Readiness of sockets, as the worker provides it. A watch is one-shot and known by its id, never
// by its descriptor: c-ares may close a descriptor and open another with the same number within one
// call, and a completion of the old one may still be on its way. Ids are not used again (a 32-bit
// count, 0 is none), so a late or cancelled completion reaches on_ready() with an id that nobody
// holds any more and is ignored there.
class ResolverIo {
 public:
  virtual ~ResolverIo() = default;
  // Reports on_ready(id, ...) once when fd is readable or writable, as asked for.
  virtual void watch(std::uint32_t id, int fd, bool readable, bool writable) = 0;
  // That watch is no longer wanted; its descriptor is about to be closed. A poll that is queued but
  // not submitted may be left in the queue if its removal is queued after it.
  virtual void unwatch(std::uint32_t id) = 0;
};

struct ResolverCounters {
  std::uint64_t questions = 0;   // Names that were asked of the resolvers.
  std::uint64_t merged = 0;      // Callers that joined a question already asked.
  std::uint64_t cache_hits = 0;  // Answered from the cache, negative answers included.
  std::uint64_t stale_answers = 0;
  std::uint64_t not_found = 0;   // Questions that ended so.
  std::uint64_t failed = 0;      // Questions that ended so.
  std::uint64_t overloaded = 0;  // Callers turned away: too many questions or waiters.
};

class Resolver {
 public:
  using Waiter = std::uint64_t;  // The caller's tag, unique among those that wait.
  enum class Lookup : std::uint8_t { absolute, searched };

  // `system` is what /etc/hosts and resolv.conf said (net/system_names.h); workers share it.
  static Result<std::unique_ptr<Resolver>> create(const DnsConfig& config,
                                                  std::shared_ptr<const SystemNames> system,
                                                  ResolverIo& io);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The answer if it is there, else nullopt: take_answer() will return `waiter` later, exactly once
  // unless cancelled. Any bytes may come as a name. now_ms is CLOCK_MONOTONIC in milliseconds, here
  // and everywhere below.
  std::optional<Resolution> resolve(std::string_view name, Lookup lookup, Waiter waiter,
                                    std::uint64_t now_ms);
  // The waiter gets no answer any more. Unknown waiters are ignored. The question itself goes on
  // and fills the cache.
  void cancel(Waiter waiter);

  struct Answer {
    Waiter waiter;
    Resolution resolution;
  };
  // nullopt: no more for now. To be called until then after resolve(), on_ready(), on_tick() and
  // reload(), once per turn of the loop.
  std::optional<Answer> take_answer();

  void on_ready(std::uint32_t watch_id, bool readable, bool writable, std::uint64_t now_ms);
  // When on_tick() is due; nullopt: not before something else is called. Changes with every call of
  // the functions above.
  std::optional<std::uint64_t> next_deadline_ms(std::uint64_t now_ms) const;
  void on_tick(std::uint64_t now_ms);

  // New servers, hosts and search list. Cached answers count as expired but may stand in; pending
  // questions are asked again of the new servers. On an error all stays as it was.
  Result<void> reload(const DnsConfig& config, std::shared_ptr<const SystemNames> system,
                      std::uint64_t now_ms);

  const ResolverCounters& counters() const;

 private:
  class Impl;
  explicit Resolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sni
