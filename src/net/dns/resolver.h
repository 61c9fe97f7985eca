#pragma once

// Names to addresses, inside the worker's loop. One Resolver per worker, single-threaded.
//
// A name is answered at once where possible: from an IP literal, /etc/hosts, localhost (RFC 6761),
// the cache, or the map that all workers share (bpf/dns/dns_map.h), whose answer then goes into the
// cache with the time that it has left. Otherwise it becomes a question: A and AAAA are asked for
// separately (net/dns/dns_channel.h), and further callers with the same name wait for the same
// question. A late family delays the other by at most limits::resolution_delay_ms (RFC 8305 section
// 3). An expired answer is used when the resolvers take longer than limits::stale_wait_ms or fail
// (RFC 8767). Answers are never delivered from within resolve(), on_ready() or on_tick(): they are
// queued, and the worker takes them with take_answer() once per turn.
//
// Names from clients and names from the configuration have separate caches and bounds, so that
// clients who ask for random names cannot evict what configured routes need. Clients' names are
// always absolute. Configured names without a trailing dot use the search list of resolv.conf by
// glibc's rules (ndots), so that `web:443` means the same in a container as to every other program
// there.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf/dns/dns_map.h"
#include "core/config/config.h"
#include "core/dns/dns_cache.h"
#include "core/dns/dns_name.h"
#include "core/dns/dns_question.h"
#include "core/dns/resolution.h"
#include "core/error.h"
#include "core/session/counters.h"
#include "core/string_hash.h"
#include "net/dns/dns_channels.h"
#include "net/dns/resolver_io.h"
#include "net/dns/system_names.h"

namespace sni {

class Resolver {
 public:
  using Waiter = std::uint64_t;  // The caller's tag, unique among waiting callers.
  enum class Source : std::uint8_t { client, configuration };

  // `system` has the contents of /etc/hosts and resolv.conf; workers share it. They also share
  // `answers`, which outlives the resolver; null: each worker has only its own cache.
  static Result<std::unique_ptr<Resolver>> create(const DnsConfig& config,
                                                  std::shared_ptr<const SystemNames> system,
                                                  ResolverIo& io, DnsCounters& counters,
                                                  const DnsMap* answers = nullptr);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The answer if it is available, else nullopt: take_answer() will return `waiter` later, once,
  // unless it is cancelled. `name` may be any bytes; only configured names may be services
  // (core/dns/service.h). now_ms is CLOCK_MONOTONIC in milliseconds, here and below.
  std::optional<Resolution> resolve(std::string_view name, Source source, Waiter waiter,
                                    std::uint64_t now_ms);
  // Cancels a waiter; unknown ones are ignored. The question goes on and fills the cache.
  void cancel(Waiter waiter);

  struct Answer {
    Waiter waiter;
    Resolution resolution;
  };
  // nullopt: no more for now. To be called until then in each turn that called anything else of
  // this class.
  std::optional<Answer> take_answer();

  // `readable` also for errors and hang-ups.
  void on_ready(std::uint32_t watch_id, bool readable, bool writable, std::uint64_t now_ms);
  // When on_tick() is due; nullopt: not before something else is called. Any call may change it.
  std::optional<std::uint64_t> next_deadline_ms(std::uint64_t now_ms);
  void on_tick(std::uint64_t now_ms);

  // Equal values change nothing. If the servers, the search list or the options of questions
  // change, cached answers expire but may be served stale, and questions under way are asked again.
  // An error changes nothing.
  Result<void> reload(const DnsConfig& config, std::shared_ptr<const SystemNames> system,
                      std::uint64_t now_ms);

  const DnsCounters& counters() const { return counters_; }

 private:
  static constexpr std::uint64_t never = ~std::uint64_t{0};

  struct Question {
    DnsName name;
    Source source;
    DnsQuestion asked;
    std::uint64_t round = 0;             // Carried by replies; new for each candidate.
    std::uint64_t answer_by_ms = never;  // When callers get whatever is known.
    std::vector<Waiter> waiters;
  };
  using Questions =
      std::unordered_map<std::string, std::unique_ptr<Question>, KeyedStringHash, std::equal_to<>>;
  // Shared by the callers of one source. Keys are DnsName::text().
  struct Callers {
    Callers(const DnsConfig& config, const SipKey& key)
        : cache(config, key), questions(0, KeyedStringHash{.key = key}) {}
    DnsCache cache;
    Questions questions;
    std::size_t waiters = 0;
  };
  struct Wait {
    Question* question;    // nullptr: the answer is in answers_.
    std::size_t position;  // In Question::waiters.
    // Distinguishes a queued answer from one to an earlier wait with this tag.
    std::uint64_t serial;
  };
  struct QueuedAnswer {
    std::uint64_t serial;
    Answer answer;
  };

  Resolver(const DnsConfig& config, std::shared_ptr<const SystemNames> system, ResolverIo& io,
           DnsCounters& counters, const DnsMap* answers);

  Callers& callers(Source source) { return callers_[static_cast<std::size_t>(source)]; }
  std::optional<Resolution> at_hand(const DnsName& name, Source source, std::uint64_t now_ms);
  std::optional<Resolution> from_host(const DnsName& name) const;
  std::optional<Resolution> from_shared(const DnsName& name, Source source, std::uint64_t now_ms);
  DnsContext context(std::uint64_t now_ms) const;
  std::uint64_t setup() const;
  std::optional<Resolution> provisional(const Question& question, std::uint64_t now_ms);
  Question& start_question(const DnsName& name, Source source, std::uint64_t now_ms);
  DnsQuestion question_about(const DnsName& name) const;
  void begin(Question& question, std::uint64_t now_ms);
  void ask(Question& question);
  void collect_replies(std::uint64_t now_ms);
  void on_reply(DnsChannel::TaggedReply reply, std::uint64_t now_ms);
  void finish(Question& question, std::uint64_t now_ms);
  void erase(Question& question);
  void answer_by(Question& question, std::uint64_t at_ms);
  void add_waiter(Question& question, Waiter waiter);
  void deliver(Question& question, const Resolution& resolution);
  void forget(bool addresses_too, std::uint64_t now_ms);
  void restart_questions(bool all, std::uint64_t now_ms);

  ResolverIo& io_;
  const DnsMap* shared_;
  std::uint64_t setup_ = 0;       // Only shared answers with this value are valid for us.
  std::uint64_t flushed_ms_ = 0;  // Shared answers from before are invalid; CLOCK_BOOTTIME.
  DnsConfig config_;
  std::shared_ptr<const SystemNames> system_;
  std::uint32_t watch_ids_ = 0;
  std::unique_ptr<DnsChannels> channels_;
  std::array<Callers, 2> callers_;
  std::unordered_map<std::uint64_t, Question*> rounds_;
  std::set<std::pair<std::uint64_t, Question*>> due_;  // By answer_by_ms; only future ones.
  std::unordered_map<Waiter, Wait> waits_;
  std::deque<QueuedAnswer> answers_;
  std::uint64_t last_round_ = 0;
  std::uint64_t last_serial_ = 0;
  DnsCounters& counters_;
};

}  // namespace sni
