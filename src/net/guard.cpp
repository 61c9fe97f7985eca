#include "net/guard.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

#include "core/limits.h"

namespace sni {
namespace {

// How often reports are looked at while sources are watched, and the clock while they are not.
constexpr int watching_ms = 100;
constexpr int idle_ms = 1000;
// Between the parts that a retired generation gives up.
constexpr std::chrono::milliseconds drain_pause{20};

// What works beside the workers gives way to them (nice(2)), and still gets on where every CPU is
// taken: of one CPU about a quarter, and a tenth.
constexpr int build_nice = 5;
constexpr int retire_nice = 10;

// For the calling thread alone, as Linux has it (setpriority(2)).
void give_way(int nice) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice);
}

std::uint32_t seconds_of(std::chrono::milliseconds duration) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

// A time of day in terms of CLOCK_BOOTTIME; 0: it has passed.
GuardTime guard_time(const std::optional<std::chrono::sys_seconds>& until) {
  if (!until) return guard_never_expires;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto left = (*until - now).count();
  if (left <= 0) return 0;
  return static_cast<GuardTime>(
      std::min<std::int64_t>(guard_now() + left, guard_never_expires - 1));
}

std::vector<GuardEntry> entries_of(const GuardInput& input) {
  std::vector<GuardEntry> entries;
  entries.reserve(input.access.block.size() + input.block_file.size() + input.access.allow.size());
  for (const auto* blocked : {&input.access.block, &input.block_file}) {
    for (const AccessEntry& entry : *blocked) {
      entries.push_back({.prefix = entry.prefix, .term = {.block_until = guard_time(entry.until)}});
    }
  }
  for (const AccessEntry& entry : input.access.allow) {
    entries.push_back({.prefix = entry.prefix, .term = {.allow_until = guard_time(entry.until)}});
  }
  return entries;
}

BanPolicy policy_of(const BansConfig& bans) {
  return {.first_s = seconds_of(bans.duration),
          .longest_s = seconds_of(bans.duration_max),
          .ipv6_length = bans.ipv6_prefix};
}

ConductLimits limits_of(const BansConfig& bans) {
  return {.connections_per_second = bans.connections_per_second,
          .refused_per_minute = bans.refused_per_minute,
          .bad_hellos_per_minute = bans.bad_hellos_per_minute};
}

XdpSettings settings_of(const GuardInput& input) {
  return {.default_deny = !input.access.default_allow,
          .block_listeners = input.access.scope == BlockScope::listeners,
          .ban_length_v6 = input.bans.ipv6_prefix,
          .listener_ports = input.listener_ports};
}

const char* to_string(Conduct conduct) {
  switch (conduct) {
    case Conduct::connected:
      return "bans.connections_per_second";
    case Conduct::refused:
      return "bans.refused_per_minute";
    case Conduct::bad_hello:
      return "bans.bad_hellos_per_minute";
  }
  return "unknown";
}

}  // namespace

GuardInput guard_input(const Config& config, std::vector<AccessEntry> block_file) {
  GuardInput input{.access = config.access,
                   .block_file = std::move(block_file),
                   .bans = config.bans,
                   .listener_ports = {}};
  for (const ListenerConfig& listener : config.listeners) {
    input.listener_ports.push_back(listener.address.port);
  }
  return input;
}

Guard::Guard(Admission& admission, std::optional<XdpGuard> xdp)
    : admission_(admission), xdp_(std::move(xdp)) {}

Guard::~Guard() = default;

Result<std::unique_ptr<Guard>> Guard::start(Admission& admission, const XdpConfig& xdp,
                                            GuardInput input) {
  auto loaded = XdpGuard::load(xdp);
  if (!loaded) return std::unexpected(loaded.error());
  auto guard = std::unique_ptr<Guard>(new Guard(admission, std::move(*loaded)));
  if (auto opened = guard->open(); !opened) return std::unexpected(opened.error());
  guard->start_build(std::move(input));
  guard->build_->thread.join();
  if (const auto& generation = guard->build_->generation; generation && !*generation) {
    if (xdp.mode != XdpMode::automatic) return std::unexpected(generation->error());
    guard->xdp_.reset();
  }
  guard->finish_build();
  if (guard->xdp_) {
    if (auto attached = guard->xdp_->attach(); !attached) return std::unexpected(attached.error());
  }
  return guard;
}

Result<void> Guard::open() {
  epoll_ = UniqueFd::adopt(epoll_create1(EPOLL_CLOEXEC));
  built_ = UniqueFd::adopt(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!epoll_ || !built_) return fail_sys("cannot set up the guard", errno);
  std::vector<int> watched = {built_.get()};
  if (xdp_) {
    auto links = LinkWatch::open();
    if (!links) return std::unexpected(links.error());
    links_ = std::move(*links);
    watched.push_back(links_->fd());
  }
  for (const int fd : watched) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return fail_sys("cannot set up the guard", errno);
    }
  }
  return {};
}

int Guard::wait_ms() const {
  return admission_.is_watching() ? watching_ms : idle_ms;
}

void Guard::work() {
  if (links_) {
    links_->take();
    xdp_->refresh();
  }
  if (build_ && build_->done) finish_build();
  const GuardTime now = guard_now();
  judge_reports(now);
  if (now != expired_at_) expire(now);
}

void Guard::judge_reports(GuardTime now) {
  for (const Admission::Report& report : admission_.take_reports()) {
    if (admission_.list().find(report.source).is_allowed(now)) continue;
    if (admission_.bans().is_banned(report.source, now)) continue;
    const IpAddress source = admission_.bans().source_of(report.source).base;
    if (!watch_.report(source, report.conduct, now)) continue;
    const auto ban = admission_.ban(report.source, now);
    if (!ban) {
      ++bans_refused_;
      continue;
    }
    ++bans_made_;
    spdlog::warn("banned {} for {} s: {}", ban->source.to_string(), ban->until - now,
                 to_string(report.conduct));
    if (!generation()) continue;
    const auto installed = generation()->ban(*ban);
    if (!installed) spdlog::warn("XDP: {}", installed.error().what);
  }
}

void Guard::expire(GuardTime now) {
  expired_at_ = now;
  watch_.expire(now);
  for (const IpPrefix& source : admission_.expire_bans(now)) {
    if (generation()) generation()->unban(source);
  }
  std::vector<IpPrefix> over;
  for (const auto& [prefix, command] : commanded_) {
    if (now >= command.until) over.push_back(prefix);
  }
  for (const IpPrefix& prefix : over) {
    commanded_.erase(prefix);
    // Where the configuration blocks it too, that holds on.
    GuardTerm term = admission_.list().term_of(prefix);
    if (now >= term.block_until) term.block_until = 0;
    static_cast<void>(change(prefix, term));
  }
}

Result<void> Guard::block(const IpPrefix& prefix, std::optional<std::uint32_t> seconds) {
  const auto earlier = commanded_.find(prefix);
  if (commanded_.size() >= limits::guard_commands_max && earlier == commanded_.end()) {
    return fail("there are " + std::to_string(limits::guard_commands_max) +
                " blocks by command already; put lasting ones into the block file");
  }
  const GuardTime until = seconds ? guard_now() + *seconds : guard_never_expires;
  GuardTerm term = admission_.list().term_of(prefix);
  Command command{.until = until, .configured = guard_now() < term.block_until};
  if (earlier != commanded_.end()) {
    command = {.until = std::max(earlier->second.until, until),
               .configured = earlier->second.configured};
  }
  term.block_until = std::max(term.block_until, until);
  if (auto changed = change(prefix, term); !changed) return changed;
  commanded_[prefix] = command;
  return {};
}

Result<Guard::Unblocked> Guard::unblock(const IpPrefix& prefix) {
  Unblocked result;
  const GuardTime now = guard_now();
  result.bans = admission_.lift(prefix);
  for (const IpPrefix& source : result.bans) {
    if (generation()) generation()->unban(source);
  }
  GuardTerm term = admission_.list().term_of(prefix);
  result.was_blocked = now < term.block_until;
  const auto command = commanded_.find(prefix);
  result.configured =
      result.was_blocked && (command == commanded_.end() || command->second.configured);
  if (command != commanded_.end()) commanded_.erase(command);
  term.block_until = 0;
  if (auto changed = change(prefix, term); !changed) return std::unexpected(changed.error());
  for (const GuardEntry& rule : admission_.list().rules()) {
    if (now < rule.term.block_until && covers(rule.prefix, prefix)) {
      result.still_by.push_back(rule.prefix);
    }
  }
  return result;
}

// The kernel first: what is dropped there needs no answer at accept.
Result<void> Guard::change(const IpPrefix& prefix, const GuardTerm& term) {
  if (build_) touched_.insert(prefix);
  GuardList::Plan plan = admission_.list().plan(prefix, term);
  if (generation()) {
    for (const GuardChange& step : plan.changes) {
      if (auto applied = generation()->apply(step); !applied) return applied;
    }
  }
  admission_.commit(plan);
  return {};
}

void Guard::reload(GuardInput input) {
  if (build_) {
    next_input_ = std::move(input);
  } else {
    start_build(std::move(input));
  }
}

void Guard::start_build(GuardInput input) {
  build_ = std::make_unique<Build>();
  build_->input = std::move(input);
  build_->commanded = commanded_;
  touched_.clear();
  build_->thread = std::jthread([job = build_.get(), with_xdp = xdp_.has_value(),
                                 built = built_.get(), retiring = std::move(retiring_)]() mutable {
    give_way(build_nice);
    // One after the other, so that at most two generations take memory.
    if (retiring.joinable()) retiring.join();
    build(*job, with_xdp);
    job->done = true;
    eventfd_write(built, 1);
  });
}

void Guard::build(Build& build, bool with_xdp) {
  std::vector<GuardEntry> entries = entries_of(build.input);
  for (auto& [prefix, command] : build.commanded) command.configured = false;
  if (!build.commanded.empty()) {
    for (const GuardEntry& entry : entries) {
      const auto command = build.commanded.find(entry.prefix);
      if (command == build.commanded.end()) continue;
      command->second.configured |= entry.term.block_until > 0;
    }
  }
  for (const auto& [prefix, command] : build.commanded) {
    entries.push_back({.prefix = prefix, .term = {.block_until = command.until}});
  }
  build.list = std::make_unique<GuardList>(std::move(entries));
  if (!with_xdp) return;
  build.generation =
      XdpGeneration::create(settings_of(build.input), build.list->installed_addresses(),
                            build.list->installed_prefixes().entries());
}

void Guard::finish_build() {
  const std::unique_ptr<Build> build = std::move(build_);
  eventfd_t ignored = 0;
  eventfd_read(built_.get(), &ignored);

  const BansConfig& bans = build->input.bans;
  admission_.adopt(policy_of(bans));
  admission_.watch(limits_of(bans).any());
  watch_ = SourceWatch(limits_of(bans));
  std::optional<XdpGeneration> old;
  if (build->generation && !*build->generation) {
    spdlog::error("XDP: {}; the kernel keeps its old lists, the new ones hold at accept",
                  build->generation->error().what);
    replay(*build, nullptr);
  } else if (build->generation) {
    XdpGeneration next = std::move(**build->generation);
    replay(*build, &next);
    auto activated = xdp_->filter().activate(std::move(next));
    if (activated) old = std::move(*activated);
    if (!activated) spdlog::error("XDP: {}", activated.error().what);
  } else {
    replay(*build, nullptr);
  }
  auto list = admission_.adopt(std::move(build->list), build->input.access.default_allow);
  spdlog::info("guard: {} addresses and {} prefixes listed", admission_.list().addresses().size(),
               admission_.list().rules().size());
  retire(std::move(list), std::move(old));
  if (next_input_) start_build(*std::exchange(next_input_, std::nullopt));
}

// Brings a new set up to what has been commanded and banned while it was built.
void Guard::replay(Build& build, XdpGeneration* generation) {
  const auto report = [](const Result<void>& applied) {
    if (!applied) spdlog::warn("XDP: {}", applied.error().what);
  };
  GuardList& list = *build.list;
  std::map<IpPrefix, GuardTerm> configured;
  for (const IpPrefix& prefix : touched_) configured[prefix] = {};
  if (!configured.empty()) {
    for (const GuardEntry& entry : entries_of(build.input)) {
      const auto found = configured.find(entry.prefix);
      if (found != configured.end()) found->second = united(found->second, entry.term);
    }
  }
  for (const auto& [prefix, command] : build.commanded) {
    const auto still = commanded_.find(prefix);
    if (still != commanded_.end()) still->second.configured = command.configured;
  }
  for (auto& [prefix, term] : configured) {
    if (const auto command = commanded_.find(prefix); command != commanded_.end()) {
      command->second.configured = guard_now() < term.block_until;
      term.block_until = std::max(term.block_until, command->second.until);
    }
    GuardList::Plan plan = list.plan(prefix, term);
    for (const GuardChange& change : plan.changes) {
      if (generation) report(generation->apply(change));
    }
    list.commit(plan);
  }
  if (!generation) return;
  for (const Ban& ban : admission_.bans().live(guard_now())) report(generation->ban(ban));
}

void Guard::retire(std::unique_ptr<GuardList> list, std::optional<XdpGeneration> generation) {
  retiring_ = std::jthread([old_list = std::move(list),
                            old = std::move(generation)](const std::stop_token& stop) mutable {
    give_way(retire_nice);
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (old && !stop.stop_requested() && old->drain_some()) {
      stopped.wait_for(lock, stop, drain_pause, [] { return false; });
    }
  });
}

std::optional<std::vector<XdpHits>> Guard::hits() {
  if (!generation()) return std::nullopt;
  return generation()->hits();
}

void Guard::log_totals() const {
  if (xdp_) xdp_->log_totals();
  if (bans_made_ + bans_refused_ + watch_.overflows() + admission_.reports_lost() == 0) return;
  spdlog::info("guard: bans={} bans_refused={} reports_lost={} sources_not_watched={}", bans_made_,
               bans_refused_, admission_.reports_lost(), watch_.overflows());
}

}  // namespace sni
