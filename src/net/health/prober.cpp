#include "net/health/prober.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/counted.h"
#include "core/limits.h"
#include "core/mix.h"
#include "core/session/access_line.h"
#include "net/interface_index.h"
#include "net/random_key.h"

namespace sni {
namespace {

// In epoll's data: marks sockets of the resolver, whose watch ids have 32 bits.
constexpr std::uint64_t resolver_bit = std::uint64_t{1} << 63;

bool has_names(const HealthTarget& target) {
  const Backend::Kind kind = target.backend->backend.kind;
  return kind == Backend::Kind::name || kind == Backend::Kind::service;
}

}  // namespace

Result<std::unique_ptr<HealthProber>> HealthProber::create(EndpointBoard& board) {
  auto prober = std::unique_ptr<HealthProber>(new HealthProber(board));
  prober->epoll_ = UniqueFd::adopt(epoll_create1(EPOLL_CLOEXEC));
  if (!prober->epoll_) return fail_sys("cannot check backends", errno);
  prober->random_ = random_key().front();
  return prober;
}

// The resolver returns its watches first.
HealthProber::~HealthProber() {
  resolver_.reset();
}

Result<void> HealthProber::configure(std::vector<HealthTarget> targets, const DnsConfig& dns,
                                     std::shared_ptr<const SystemNames> names, const TcpConfig& tcp,
                                     std::uint64_t now_ms) {
  tcp_ = tcp;
  dns_ = dns;
  if (resolver_ != nullptr) {
    if (auto done = resolver_->reload(dns, std::move(names), now_ms); !done) return done;
  } else if (std::ranges::any_of(targets, has_names)) {
    auto resolver = Resolver::create(dns, std::move(names), *this, dns_counters_);
    if (!resolver) return std::unexpected(resolver.error());
    resolver_ = std::move(*resolver);
  }
  std::map<BackendId, Check> next;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const BackendId id = targets[i].backend->id;
    const auto interval = static_cast<std::uint64_t>(targets[i].config.interval.count());
    if (auto known = checks_.extract(id)) {
      known.mapped().target = std::move(targets[i]);
      known.mapped().due_ms = std::min(known.mapped().due_ms, now_ms + interval);
      next.insert(std::move(known));
      continue;
    }
    Check check{.target = std::move(targets[i]), .due_ms = now_ms + interval * i / targets.size()};
    next.emplace(id, std::move(check));
  }
  for (auto& [id, check] : checks_) forget(check);
  checks_ = std::move(next);
  due_.clear();
  for (const auto& [id, check] : checks_) due_.emplace(check.due_ms, id);
  return {};
}

void HealthProber::take_names(std::shared_ptr<const SystemNames> names, std::uint64_t now_ms) {
  if (resolver_ == nullptr) return;
  const auto reloaded = resolver_->reload(dns_, std::move(names), now_ms);
  if (!reloaded) spdlog::error("health checks keep their old servers: {}", reloaded.error().what);
}

std::optional<std::uint64_t> HealthProber::deadline_ms(std::uint64_t now_ms) {
  std::uint64_t first = UINT64_MAX;
  if (!due_.empty() && under_way_.size() < limits::health_checks_max) first = due_.begin()->first;
  if (!until_.empty()) first = std::min(first, until_.begin()->first);
  if (resolver_ != nullptr) {
    if (const auto due = resolver_->next_deadline_ms(now_ms)) first = std::min(first, *due);
  }
  return first == UINT64_MAX ? std::nullopt : std::optional(first);
}

void HealthProber::dispatch(std::uint64_t now_ms) {
  if (checks_.empty()) return;
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if ((event.data.u64 & resolver_bit) == 0) {
      on_ready(event.data.u64);
    } else if (const auto id = static_cast<std::uint32_t>(event.data.u64); watched_.contains(id)) {
      unwatch(id);
      resolver_->on_ready(id, (event.events & ~unsigned{EPOLLOUT}) != 0,
                          (event.events & ~unsigned{EPOLLIN}) != 0, now_ms);
    }
  }
  while (!until_.empty() && until_.begin()->first <= now_ms) {
    end(until_.begin()->second, "no answer in time");
  }
  while (!due_.empty() && due_.begin()->first <= now_ms &&
         under_way_.size() < limits::health_checks_max) {
    begin(checks_.at(due_.begin()->second), now_ms);
  }
  if (resolver_ == nullptr) return;
  resolver_->on_tick(now_ms);
  take_answers(now_ms);
}

// The jitter goes both ways.
std::uint64_t HealthProber::interval_of(const HealthConfig& config) {
  const auto interval = static_cast<std::uint64_t>(config.interval.count());
  const std::uint64_t spread = interval * config.jitter / 100;
  return interval - spread + mix(++random_) % (2 * spread + 1);
}

void HealthProber::schedule(Check& check, std::uint64_t due_ms) {
  const BackendId id = check.target.backend->id;
  due_.erase({check.due_ms, id});
  check.due_ms = due_ms;
  due_.emplace(due_ms, id);
}

void HealthProber::begin_probe(BackendId backend, EndpointBoard::Id id, std::uint64_t now_ms) {
  Place& place = places_.at(id);
  // The previous probe takes longer than the interval, or another backend's check makes it.
  if (place.under_way || *place.users.begin() != backend) return;
  place.under_way = true;
  const HealthTarget& target = checks_.at(backend).target;
  const Number number = ++last_number_;
  UnderWay& begun = under_way_[number];
  begun.place = id;
  begun.until_ms = now_ms + static_cast<std::uint64_t>(target.config.timeout.count());
  until_.emplace(begun.until_ms, number);
  const auto outcome = begun.probe.begin({.endpoint = place.endpoint,
                                          .path = target.backend->backend.host,
                                          .check = target.config.check,
                                          .server_name = target.server_name,
                                          .source = &target.source,
                                          .send_proxy = target.send_proxy},
                                         tcp_);
  if (outcome && begun.probe.hindered()) return hinder(number, *outcome);
  if (outcome) return end(number, *outcome);
  if (!wait_for(number, begun.probe, EPOLL_CTL_ADD)) hinder(number, "out of memory");
}

bool HealthProber::wait_for(Number number, const Probe& probe, int operation) const {
  epoll_event event{.events = probe.waits_for_output() ? EPOLLOUT : EPOLLIN,
                    .data = {.u64 = number}};
  return epoll_ctl(epoll_.get(), operation, probe.fd(), &event) == 0;
}

void HealthProber::on_ready(Number number) {
  const auto found = under_way_.find(number);
  if (found == under_way_.end()) return;
  Probe& probe = found->second.probe;
  if (const auto outcome = probe.advance()) return end(number, *outcome);
  if (!wait_for(number, probe, EPOLL_CTL_MOD)) hinder(number, "out of memory");
}

// places_.end(): its place has gone meanwhile.
HealthProber::Places::iterator HealthProber::remove(Number number) {
  const auto ended = under_way_.extract(number);
  until_.erase({ended.mapped().until_ms, number});
  const auto found = places_.find(ended.mapped().place);
  if (found != places_.end()) found->second.under_way = false;
  return found;
}

void HealthProber::hinder(Number number, std::string_view why) {
  if (remove(number) == places_.end() || std::exchange(hindered_, true)) return;
  spdlog::warn("health checks cannot be made, and backends stay as they are: {}", why);
}

void HealthProber::end(Number number, const std::string& failure) {
  const auto found = remove(number);
  if (found == places_.end()) return;
  Place& place = found->second;
  hindered_ = false;
  place.checked = true;
  place.reason = failure;
  const HealthTarget& target = checks_.at(*place.users.begin()).target;
  const auto change = place.state.note(failure.empty(), target.config.rise, target.config.fall);
  // A full set of the board may have room by now.
  if (!place.state.up()) board_.hold(found->first);
  if (!change) return;
  if (place.state.up()) board_.release(found->first);
  tell(target, place);
}

void HealthProber::tell(const HealthTarget& target, const Place& place) const {
  std::string text = escape_for_log(target.backend->backend.text);
  if (has_names(target)) text += " (" + place.endpoint.to_string(interface_name) + ")";
  if (place.state.up()) {
    spdlog::info("backend {} is up: {} of health check {} in a row passed", text,
                 target.config.rise, target.config.name);
  } else {
    spdlog::warn("backend {} is down: {} of health check {} in a row failed: {}", text,
                 target.config.fall, target.config.name, place.reason);
  }
}

std::optional<HealthSummary> HealthProber::summary(BackendId backend) const {
  const auto found = checks_.find(backend);
  if (found == checks_.end()) return std::nullopt;
  const Check& check = found->second;
  HealthSummary summary{.check = check.target.config.name};
  if (!check.unanswered.empty()) {
    summary.reason = "the name " + *check.unanswered.begin() + " has no address now";
  }
  for (const auto& [id, way] : check.ways) {
    const Place& place = places_.at(id);
    if (has_names(check.target)) {
      summary.addresses.push_back({.endpoint = place.endpoint, .id = id});
    }
    if (!place.checked) continue;
    ++summary.known;
    summary.up += place.state.up() ? 1 : 0;
    if (!place.reason.empty()) summary.reason = place.reason;
  }
  return summary;
}

// One-shot. The watch has an id, since its descriptor may be reused by the time of the event.
void HealthProber::watch(std::uint32_t id, int fd, bool readable, bool writable) {
  const std::uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
  epoll_event event{.events = events | EPOLLONESHOT, .data = {.u64 = resolver_bit | id}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  }
  watched_[id] = fd;
}

void HealthProber::unwatch(std::uint32_t id) {
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second, nullptr);
  watched_.erase(found);
}

}  // namespace sni
