#pragma once

// Theory of operation: the main thread checks the health of backends, among other things like the
// control socket. Each backend has one check, however many routes name it. A name is resolved again
// for each round, and each of its addresses is checked separately. The first checks are spread over
// their interval, jitter keeps them from synchronising, and at most limits::health_checks_max run
// at once; further ones wait.
//
//   due -> (a name: resolve) -> a probe of each address -> passed or failed -> HealthState
//       -> a change: the board (core/route/endpoint_board.h) holds the endpoint out, or lets it in
//
// Connections use the board, so a backend that is down is tried after all others, like one that
// clients found to be out. But no client is made to retry it, and a client that still reaches it
// does not bring it back. The state of an endpoint survives a reload as long as its backend is
// checked; after that the board releases it.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/health/health_plan.h"
#include "core/health/health_state.h"
#include "core/route/endpoint_board.h"
#include "net/dns/resolver.h"
#include "net/health/probe.h"

namespace sni {

// The health of one backend: how many of its addresses are up.
struct HealthSummary {
  std::string check;  // Its name.
  std::size_t up = 0;
  std::size_t known = 0;  // Addresses checked so far.
  std::string reason;     // Why the latest failure happened; empty: none.
};

class HealthProber final : private ResolverIo {
 public:
  // `board` outlives the prober. Empty if the kernel has no descriptor left for it.
  static Result<std::unique_ptr<HealthProber>> create(EndpointBoard& board);
  ~HealthProber() override;

  // Replaces the targets. Errors: names cannot be resolved; then nothing changes.
  Result<void> configure(std::vector<HealthTarget> targets, const DnsConfig& dns,
                         std::shared_ptr<const SystemNames> names, const TcpConfig& tcp,
                         std::uint64_t now_ms);
  void take_names(std::shared_ptr<const SystemNames> names, std::uint64_t now_ms);

  // Readable when dispatch() has work; dispatch() must also be called at deadline_ms(). `now_ms`:
  // CLOCK_MONOTONIC.
  int fd() const { return epoll_.get(); }
  std::optional<std::uint64_t> deadline_ms(std::uint64_t now_ms);
  void dispatch(std::uint64_t now_ms);

  // nullopt: it is not checked.
  std::optional<HealthSummary> summary(BackendId backend) const;

 private:
  // An address of a backend, or its UNIX socket.
  struct Place {
    Endpoint endpoint;
    HealthState state;
    bool checked = false;  // At least once.
    bool under_way = false;
    bool current = true;  // In the last answer for the backend's name.
    std::string reason;
  };
  using Places = std::map<EndpointBoard::Id, Place>;
  struct Check {
    HealthTarget target;
    std::uint64_t due_ms = 0;
    bool asking = false;  // A question for its name is under way.
    Places places;
    std::string unresolved;  // Why it has no address.
  };
  struct UnderWay {
    Probe probe;
    BackendId backend = 0;
    EndpointBoard::Id place = 0;
    std::uint64_t until_ms = 0;
  };
  using Number = std::uint64_t;  // Of a probe; rises, from 1.

  explicit HealthProber(EndpointBoard& board) : board_(board) {}

  void schedule(Check& check, std::uint64_t due_ms);
  void begin(Check& check, std::uint64_t now_ms);
  void begin_addresses(Check& check, const Resolution& resolution, std::uint64_t now_ms);
  void begin_probe(Check& check, const Endpoint& endpoint, std::uint64_t now_ms);
  bool wait_for(Number number, const Probe& probe, int operation) const;
  void on_ready(Number number);
  void end(Number number, const std::string& failure);
  void take_answers(std::uint64_t now_ms);
  void forget(Check& check);
  void tell(const Check& check, const Place& place) const;
  std::uint64_t interval_of(const HealthConfig& config);
  EndpointBoard::Id id_of(const Check& check, const Endpoint& endpoint) const;

  void watch(std::uint32_t id, int fd, bool readable, bool writable) override;
  void unwatch(std::uint32_t id) override;

  EndpointBoard& board_;
  UniqueFd epoll_;
  TcpConfig tcp_;
  DnsConfig dns_;
  // For these questions, which do not come from clients.
  DnsCounters dns_counters_;
  std::unique_ptr<Resolver> resolver_;              // Null until a name is checked.
  std::unordered_map<std::uint32_t, int> watched_;  // Sockets of the resolver, by the watch's id.
  std::map<BackendId, Check> checks_;
  std::set<std::pair<std::uint64_t, BackendId>> due_;  // Start times of checks.
  std::unordered_map<Number, UnderWay> under_way_;
  std::set<std::pair<std::uint64_t, Number>> until_;  // Deadlines of probes.
  Number last_number_ = 0;
  std::uint64_t random_ = 0;
};

}  // namespace sni
