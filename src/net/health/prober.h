#pragma once

// Theory of operation: the main thread checks the health of backends, among other things like the
// control socket. Each backend has one check, however many routes name it. A name is resolved again
// for each round, and so are a service (SRV) and the names of its targets. Each address is checked
// separately, and once even if several backends lead to it: then the first of them in the
// configuration says how. The first checks are spread over their interval, jitter keeps them from
// synchronising, and at most limits::health_checks_max run at once; further ones wait.
//
//   due -> (names: resolve) -> a probe of each address -> passed or failed -> HealthState
//       -> a change: the board (core/route/endpoint_board.h) holds the endpoint out, or lets it in
//
// Connections use the board, so a backend that is down is tried after all others, like one that
// clients found to be out. But no client is made to retry it, and a client that still reaches it
// does not bring it back. The state of an endpoint survives a reload as long as a backend that is
// checked leads to it; after that the board releases it.

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
  struct Address {
    Endpoint endpoint;
    EndpointBoard::Id id = 0;
  };
  std::string check;  // Its name.
  std::size_t up = 0;
  std::size_t known = 0;  // Addresses checked so far.
  std::string reason;     // Why the latest failure happened; empty: none.
  // Those of a name, or of a service's targets; empty for other backends.
  std::vector<Address> addresses;
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
  // An address, or a UNIX socket.
  struct Place {
    Endpoint endpoint;
    HealthState state;
    bool checked = false;  // At least once.
    bool under_way = false;
    std::string reason;
    std::set<BackendId> users;  // The backends that lead to it; the first one's settings hold.
  };
  using Places = std::unordered_map<EndpointBoard::Id, Place>;
  // How a backend leads to a place.
  struct Way {
    std::string host;     // The name that has the address; empty if the backend is one.
    bool current = true;  // In this round.
  };
  struct Check {
    HealthTarget target;
    std::uint64_t due_ms = 0;
    std::size_t asking = 0;  // Questions of this round that are under way.
    std::size_t found = 0;   // Addresses in this round.
    std::map<EndpointBoard::Id, Way> ways;
    std::set<std::string> unanswered;  // Names without an address in this round.
  };
  // A name that is being resolved for a check.
  struct Question {
    BackendId backend = 0;
    std::string host;
    std::uint16_t port = 0;
  };
  struct UnderWay {
    Probe probe;
    EndpointBoard::Id place = 0;
    std::uint64_t until_ms = 0;
  };
  using Number = std::uint64_t;  // Of a probe; rises, from 1.

  explicit HealthProber(EndpointBoard& board) : board_(board) {}

  void schedule(Check& check, std::uint64_t due_ms);
  void begin(Check& check, std::uint64_t now_ms);
  void ask(Check& check, Question question, std::uint64_t now_ms);
  void take(Check& check, const Question& question, const Resolution& resolution,
            std::uint64_t now_ms);
  void take_answers(std::uint64_t now_ms);
  void add(Check& check, const Endpoint& endpoint, const std::string& host, std::uint64_t now_ms);
  void end_round(Check& check, std::uint64_t now_ms);
  void drop(BackendId backend, EndpointBoard::Id id);
  void forget(Check& check);
  EndpointBoard::Id id_of(const Check& check, const Endpoint& endpoint) const;

  void begin_probe(BackendId backend, EndpointBoard::Id id, std::uint64_t now_ms);
  bool wait_for(Number number, const Probe& probe, int operation) const;
  void on_ready(Number number);
  Places::iterator remove(Number number);
  void end(Number number, const std::string& failure);
  // This host lacks something, so the check says nothing of the endpoint.
  void hinder(Number number, std::string_view why);
  void tell(const HealthTarget& target, const Place& place) const;
  std::uint64_t interval_of(const HealthConfig& config);

  void watch(std::uint32_t id, int fd, bool readable, bool writable) override;
  void unwatch(std::uint32_t id) override;

  EndpointBoard& board_;
  UniqueFd epoll_;
  TcpConfig tcp_;
  DnsConfig dns_;
  // For these questions, which do not come from clients.
  DnsCounters dns_counters_;
  bool hindered_ = false;                           // This host lacks something for checks.
  std::unique_ptr<Resolver> resolver_;              // Null until a name is checked.
  std::unordered_map<std::uint32_t, int> watched_;  // Sockets of the resolver, by the watch's id.
  std::map<BackendId, Check> checks_;
  Places places_;
  std::unordered_map<Resolver::Waiter, Question> questions_;
  Resolver::Waiter last_waiter_ = 0;
  std::set<std::pair<std::uint64_t, BackendId>> due_;  // Start times of checks.
  std::unordered_map<Number, UnderWay> under_way_;
  std::set<std::pair<std::uint64_t, Number>> until_;  // Deadlines of probes.
  Number last_number_ = 0;
  std::uint64_t random_ = 0;
};

}  // namespace sni
