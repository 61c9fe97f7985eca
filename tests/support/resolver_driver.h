#pragma once

// Runs a Resolver over poll(2) instead of the worker's ring. Its clock can be advanced, so that
// TTLs pass without waiting.

#include <poll.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "net/dns/resolver.h"

namespace sni::test {

class ResolverDriver : public ResolverIo {
 public:
  explicit ResolverDriver(const DnsConfig& config, SystemNames system = {},
                          const DnsMap* shared_answers = nullptr)
      : created_(Resolver::create(config, std::make_shared<const SystemNames>(std::move(system)),
                                  *this, counters_, shared_answers)) {}

  bool is_open() const { return created_.has_value(); }
  Resolver& resolver() { return **created_; }

  std::uint64_t now_ms() const {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return put_forward_ms_ +
           static_cast<std::uint64_t>(
               std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  }
  void put_forward(std::uint64_t by_ms) { put_forward_ms_ += by_ms; }

  // Asks as a client (or as the configuration) and waits for the answer; nullopt: none in time.
  std::optional<Resolution> ask(std::string_view name,
                                Resolver::Source source = Resolver::Source::client) {
    const Resolver::Waiter waiter = ++last_waiter_;
    if (auto answer = resolver().resolve(name, source, waiter, now_ms())) return answer;
    run([&] { return answers.contains(waiter); });
    const auto found = answers.find(waiter);
    return found == answers.end() ? std::nullopt : std::optional(found->second);
  }

  // Turns the loop until `done`, at most 20 s of real time; returns whether it was reached.
  bool run(const std::function<bool()>& done) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    take_answers();
    while (!done()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      turn();
    }
    return true;
  }
  void run_for(std::uint64_t span_ms) {
    const std::uint64_t end_ms = now_ms() + span_ms;
    run([&] { return now_ms() >= end_ms; });
  }

  void watch(std::uint32_t id, int fd, bool readable, bool writable) override {
    const auto events = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    repeated_id |= watches.contains(id) || id <= last_id;
    last_id = id;
    watches[id] = {.fd = fd, .events = events, .revents = 0};
  }
  void unwatch(std::uint32_t id) override { unknown_unwatched |= watches.erase(id) == 0; }

  std::map<Resolver::Waiter, Resolution> answers;  // Taken so far.
  std::map<std::uint32_t, pollfd> watches;
  std::uint32_t last_id = 0;
  bool repeated_id = false;
  bool unknown_unwatched = false;

 private:
  DnsCounters counters_;  // Before the resolver, which counts there.
  void take_answers() {
    while (const auto answer = resolver().take_answer()) {
      answers[answer->waiter] = answer->resolution;
    }
  }

  void turn() {
    std::vector<std::uint32_t> ids;
    std::vector<pollfd> polled;
    for (const auto& [id, watched] : watches) {
      ids.push_back(id);
      polled.push_back(watched);
    }
    constexpr std::uint64_t poll_limit_ms = 20;
    const std::uint64_t at_ms = now_ms();
    const std::uint64_t deadline_ms =
        resolver().next_deadline_ms(at_ms).value_or(at_ms + poll_limit_ms);
    const std::uint64_t left_ms = deadline_ms > at_ms ? deadline_ms - at_ms : 0;
    ::poll(polled.data(), polled.size(), static_cast<int>(std::min(left_ms, poll_limit_ms)));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const short got = polled[i].revents;
      // A watch removed in this turn still reports, like a completion in flight.
      if (got == 0) continue;
      watches.erase(ids[i]);
      resolver().on_ready(ids[i], (got & ~POLLOUT) != 0, (got & POLLOUT) != 0, now_ms());
    }
    if (deadline_ms <= now_ms()) resolver().on_tick(now_ms());
    take_answers();
  }

  std::uint64_t put_forward_ms_ = 0;
  Resolver::Waiter last_waiter_ = 1'000'000;
  Result<std::unique_ptr<Resolver>> created_;
};

}  // namespace sni::test
