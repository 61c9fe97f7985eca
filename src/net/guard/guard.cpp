#include "net/guard/guard.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/config/duration.h"
#include "core/counted.h"
#include "core/limits.h"
#include "net/beside.h"

namespace sni {
namespace {

// How often reports are read while sources are watched, and how often the clock is read while they
// are not.
constexpr int watching_ms = 100;
constexpr int idle_ms = 1000;

// Lists up to this length are planned on the main thread, which takes at most two milliseconds.
constexpr std::size_t plan_here_entries = 10'000;

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

Guard::Guard(Admission& admission, LoadedXdp xdp)
    : admission_(admission), xdp_(std::move(xdp.guard)), xdp_missing_(std::move(xdp.missing)) {}

Guard::~Guard() = default;

Result<std::unique_ptr<Guard>> Guard::start(Admission& admission, const XdpConfig& xdp,
                                            GuardInput input) {
  auto loaded = XdpGuard::load(xdp);
  if (!loaded) return std::unexpected(loaded.error());
  auto guard = std::unique_ptr<Guard>(new Guard(admission, std::move(*loaded)));
  if (auto opened = guard->open(); !opened) return std::unexpected(opened.error());
  guard->start_build(std::move(input));
  join(guard->build_->thread);
  if (const auto& generation = guard->build_->generation; generation && !*generation) {
    if (xdp.mode != XdpMode::automatic) return std::unexpected(generation->error());
    guard->links_.reset();
    guard->xdp_.reset();
    guard->xdp_missing_ = generation->error().what;
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
  if (planning_ && planning_->ready) finish_plan();
  // A plan is valid only for the list that it began with.
  if (build_ && build_->done && !planning_) finish_build();
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
    spdlog::warn("banned {} for {}: {}", ban->source.to_string(),
                 format_duration(std::chrono::seconds(ban->until - now)),
                 to_string(report.conduct));
    if (generation()) install(*generation(), *ban);
  }
}

// A ban that would reach a proxy before this one holds at accept only, once its client is known.
void Guard::install(XdpGeneration& generation, const Ban& ban) const {
  if (reaches_proxy(ban.source, proxies_)) return;
  const auto installed = generation.ban(ban);
  if (!installed) spdlog::warn("XDP: {}", installed.error().what);
}

void Guard::expire(GuardTime now) {
  expired_at_ = now;
  watch_.expire(now);
  for (const IpPrefix& source : admission_.expire_bans(now)) {
    if (generation()) generation()->unban(source);
  }
  const auto is_over = [now](const auto& each) { return now >= each.second.until; };
  if (expiring_ || std::ranges::none_of(commanded_, is_over)) return;
  expiring_ = true;
  submit({.begin = [this, now] { return take_expired(now); },
          .done = [this](const Result<void>& /*changed*/) { expiring_ = false; }});
}

// The terms that remain after commands have ended.
std::vector<GuardEntry> Guard::take_expired(GuardTime now) {
  std::vector<GuardEntry> terms;
  for (const auto& [prefix, command] : commanded_) {
    if (now < command.until) continue;
    GuardTerm term = command.configured;
    if (now >= term.block_until) term.block_until = 0;
    terms.push_back({.prefix = prefix, .term = term});
  }
  for (const GuardEntry& over : terms) commanded_.erase(over.prefix);
  return terms;
}

void Guard::block(const IpPrefix& prefix, std::optional<std::uint32_t> seconds,
                  std::function<void(Result<void>)> done) {
  const auto command = std::make_shared<Result<BlockCommand>>(BlockCommand{});
  submit({.begin =
              [=, this] {
                *command = command_for(prefix, seconds);
                std::vector<GuardEntry> terms;
                if (*command) terms.push_back({.prefix = prefix, .term = (*command)->term()});
                return terms;
              },
          .done =
              [=, this, told = std::move(done)](const Result<void>& changed) {
                if (!*command) return told(std::unexpected(command->error()));
                if (changed) {
                  commanded_[prefix] = **command;
                  lifted_.erase(prefix);
                }
                told(changed);
              }});
}

Result<BlockCommand> Guard::command_for(const IpPrefix& prefix,
                                        std::optional<std::uint32_t> seconds) {
  const auto earlier = commanded_.find(prefix);
  if (commanded_.size() >= limits::guard_commands_max && earlier == commanded_.end()) {
    return fail("there are " + std::to_string(limits::guard_commands_max) +
                " blocks by command already; put lasting ones into the block file");
  }
  BlockCommand command{.until = seconds ? guard_now() + *seconds : guard_never_expires};
  const auto lifted = lifted_.find(prefix);
  if (earlier != commanded_.end()) {
    command.until = std::max(command.until, earlier->second.until);
    command.configured = earlier->second.configured;
  } else if (lifted != lifted_.end()) {
    command.configured = lifted->second;  // Blocking it again undoes the unblock.
  } else {
    command.configured = admission_.list().term_of(prefix);
  }
  return command;
}

void Guard::unblock(const IpPrefix& prefix, std::function<void(Result<Unblocked>)> done) {
  const auto result = std::make_shared<Unblocked>();
  submit({.begin = [=, this]() -> std::vector<GuardEntry> {
            const GuardTime now = guard_now();
            result->bans = admission_.lift(prefix);
            for (const IpPrefix& source : result->bans) {
              if (generation()) generation()->unban(source);
            }
            GuardTerm term = admission_.list().term_of(prefix);
            result->was_blocked = now < term.block_until;
            const auto command = commanded_.find(prefix);
            const auto lifted = lifted_.find(prefix);
            const GuardTerm configured = command != commanded_.end() ? command->second.configured
                                         : lifted != lifted_.end()   ? lifted->second
                                                                     : term;
            result->configured = now < configured.block_until;
            if (result->configured) lifted_[prefix] = configured;
            if (command != commanded_.end()) commanded_.erase(command);
            if (term.block_until == 0) return {};
            term.block_until = 0;
            return {{.prefix = prefix, .term = term}};
          },
          .done =
              [=, this, told = std::move(done)](const Result<void>& changed) {
                if (!changed) return told(std::unexpected(changed.error()));
                const GuardTime now = guard_now();
                for (const GuardEntry& rule : admission_.list().rules()) {
                  if (now < rule.term.block_until && covers(rule.prefix, prefix)) {
                    result->still_by.push_back(rule.prefix);
                  }
                }
                told(std::move(*result));
              }});
}

void Guard::submit(Step step) {
  steps_.push_back(std::move(step));
  advance();
}

// Takes the steps in order until one has to be planned in a thread.
void Guard::advance() {
  while (!planning_ && !(build_ && build_->done) && !steps_.empty()) {
    const Step step = std::move(steps_.front());
    steps_.pop_front();
    std::vector<GuardEntry> terms = step.begin();
    const GuardList& list = admission_.list();
    const bool is_long = list.rules().size() + list.addresses().size() > plan_here_entries;
    const bool has_prefix = !std::ranges::all_of(terms, is_single_address, &GuardEntry::prefix);
    if (!is_long || !has_prefix) {
      GuardList::Plan plan = list.plan(terms);
      step.done(install(plan, terms));
      continue;
    }
    planning_ = std::make_unique<Planning>();
    planning_->terms = std::move(terms);
    planning_->done = step.done;
    planning_->thread = run_beside(
        "a change of the blocked sources",
        [&list, built = built_.get(), planning = planning_.get()](const std::stop_token&) {
          planning->plan = list.plan(planning->terms);
          planning->ready = true;
          eventfd_write(built, 1);
        });
  }
}

void Guard::finish_plan() {
  eventfd_t ignored = 0;
  eventfd_read(built_.get(), &ignored);
  const std::unique_ptr<Planning> planning = std::move(planning_);
  join(planning->thread);
  planning->done(install(planning->plan, planning->terms));
  advance();
}

// The kernel comes first: packets dropped there never reach accept.
Result<void> Guard::install(GuardList::Plan& plan, const std::vector<GuardEntry>& terms) {
  if (build_) {
    for (const GuardEntry& entry : terms) touched_.insert(entry.prefix);
  }
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

void Guard::when_in_force(std::function<void()> done) {
  if (!build_) return done();
  in_force_.push_back(std::move(done));
}

void Guard::start_build(GuardInput input) {
  build_ = std::make_unique<GuardBuild>();
  build_->input = std::move(input);
  build_->commanded = commanded_;
  touched_.clear();
  build_->start(xdp_.has_value(), built_.get(), std::move(retiring_));
}

void Guard::finish_build() {
  const std::unique_ptr<GuardBuild> build = std::move(build_);
  eventfd_t ignored = 0;
  eventfd_read(built_.get(), &ignored);

  const BansConfig& bans = build->input.bans;
  admission_.adopt(policy_of(bans));
  admission_.watch(limits_of(bans).any());
  watch_ = SourceWatch(limits_of(bans));
  proxies_ = build->input.proxies;
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
  lifted_.clear();
  const std::size_t addresses = admission_.list().addresses().size();
  const std::size_t prefixes = admission_.list().rules().size();
  spdlog::log(addresses + prefixes == 0 ? spdlog::level::debug : spdlog::level::info,
              "guard: {} and {} listed", counted(addresses, "address", "addresses"),
              counted(prefixes, "prefix", "prefixes"));
  retiring_ = retire(std::move(list), std::move(old));
  if (next_input_) {
    start_build(*std::exchange(next_input_, std::nullopt));
  } else {
    for (const auto& done : std::exchange(in_force_, {})) done();
  }
  advance();
}

// Applies the commands and bans of the meantime to a new set.
void Guard::replay(GuardBuild& build, XdpGeneration* generation) {
  const auto report = [](const Result<void>& applied) {
    if (!applied) spdlog::warn("XDP: {}", applied.error().what);
  };
  BlockCommands known;
  for (const IpPrefix& prefix : touched_) {
    const auto command = commanded_.find(prefix);
    known[prefix] = command == commanded_.end() ? BlockCommand{} : command->second;
  }
  if (!known.empty()) read_configured(known, entries_of(build.input));
  std::vector<GuardEntry> terms;
  for (const auto& [prefix, command] : known) {
    terms.push_back({.prefix = prefix, .term = command.term()});
  }
  GuardList::Plan plan = build.list->plan(terms);
  for (const GuardChange& change : plan.changes) {
    if (generation) report(generation->apply(change));
  }
  build.list->commit(plan);
  // A command is either older than the build or touched since.
  known.merge(build.commanded);
  for (auto& [prefix, command] : commanded_) command.configured = known.at(prefix).configured;
  if (!generation) return;
  for (const Ban& ban : admission_.bans().live(guard_now())) install(*generation, ban);
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

std::vector<XdpDrops> Guard::xdp_drops() const {
  const auto counters = xdp_ ? xdp_->filter().counters() : Result<XdpCounters>(XdpCounters{});
  std::vector<XdpDrops> drops{
      {.reason = "blocked"}, {.reason = "banned"}, {.reason = "not_allowed"}};
  if (!counters) return drops;
  drops[0].packets = counters->total(GUARD_DROP_BLOCKED);
  drops[1].packets = counters->total(GUARD_DROP_BANNED);
  drops[2].packets = counters->total(GUARD_DROP_NOT_ALLOWED);
  return drops;
}

}  // namespace sni
