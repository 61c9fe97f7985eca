#include "net/dns/resolver.h"

#include <ctime>

#include <algorithm>
#include <array>
#include <cassert>

#include "net/random_key.h"

namespace sni {
namespace {

const IpAddress loopback_v4 = IpAddress::v4(127, 0, 0, 1);
const IpAddress loopback_v6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

Resolution without_addresses(Resolution::Status status) {
  return {.status = status};
}

Resolution single(const IpAddress& address) {
  return Resolution::of({address});
}

std::int64_t clock_ms(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// CLOCK_BOOTTIME at a time of CLOCK_MONOTONIC. The difference is the time for which the machine was
// suspended, during which TTLs run on.
std::uint64_t boot_ms(std::uint64_t now_ms) {
  return now_ms + static_cast<std::uint64_t>(std::max<std::int64_t>(
                      clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC), 0));
}

const std::vector<Endpoint>& servers_of(const DnsConfig& config, const SystemNames& system) {
  return config.servers.empty() ? system.resolv_conf.servers : config.servers;
}

// Whether questions go to the same servers with the same options and search list.
bool asks_alike(const DnsConfig& config, const SystemNames& system, const DnsConfig& other_config,
                const SystemNames& other_system) {
  return servers_of(config, system) == servers_of(other_config, other_system) &&
         config.family == other_config.family && config.timeout == other_config.timeout &&
         config.tries == other_config.tries &&
         system.resolv_conf.search == other_system.resolv_conf.search &&
         system.resolv_conf.ndots == other_system.resolv_conf.ndots;
}

}  // namespace

Resolver::Resolver(const DnsConfig& config, std::shared_ptr<const SystemNames> system,
                   ResolverIo& io, DnsCounters& counters, const DnsMap* answers)
    : io_(io),
      shared_(answers),
      config_(config),
      system_(std::move(system)),
      callers_{Callers(config, random_key()), Callers(config, random_key())},
      counters_(counters) {}

Result<std::unique_ptr<Resolver>> Resolver::create(const DnsConfig& config,
                                                   std::shared_ptr<const SystemNames> system,
                                                   ResolverIo& io, DnsCounters& counters,
                                                   const DnsMap* answers) {
  assert(system);
  std::unique_ptr<Resolver> resolver(
      new Resolver(config, std::move(system), io, counters, answers));
  resolver->setup_ = resolver->setup();
  auto channels =
      DnsChannels::create(config, servers_of(config, *resolver->system_), io, resolver->watch_ids_);
  if (!channels) return std::unexpected(std::move(channels.error()));
  resolver->channels_ = std::move(*channels);
  return resolver;
}

std::optional<Resolution> Resolver::resolve(std::string_view text, Source source, Waiter waiter,
                                            std::uint64_t now_ms) {
  assert(!waits_.contains(waiter));
  if (const auto literal = parse_ip(text)) return single(*literal);
  const bool is_service = source == Source::configuration && text.starts_with(service_prefix);
  std::optional<DnsName> name = is_service ? parse_service_name(text) : parse_dns_name(text);
  if (!name) return without_addresses(Resolution::Status::not_found);
  if (source == Source::client) name->make_absolute();
  if (auto answer = at_hand(*name, source, now_ms)) return answer;

  Callers& asking = callers(source);
  const auto found = asking.questions.find(name->text());
  const bool asked = found != asking.questions.end();
  if (asking.waiters >= limits::dns_waiters_max ||
      (!asked && asking.questions.size() >= limits::dns_questions_max)) {
    counters_.overloaded.add();
    const auto stale = asking.cache.find_stale(name->text(), now_ms);
    return stale ? *stale : without_addresses(Resolution::Status::overloaded);
  }
  if (asked) counters_.merged.add();
  add_waiter(asked ? *found->second : start_question(*name, source, now_ms), waiter);
  collect_replies(now_ms);
  return std::nullopt;
}

// The answer to a name that needs no waiting.
std::optional<Resolution> Resolver::at_hand(const DnsName& name, Source source,
                                            std::uint64_t now_ms) {
  if (auto answer = from_host(name)) return answer;
  Callers& asking = callers(source);
  if (auto answer = asking.cache.find(name.text(), now_ms)) {
    counters_.cache_hits.add();
    counters_.stale.add(answer->stale);
    return answer;
  }
  const auto found = asking.questions.find(name.text());
  if (found == asking.questions.end()) return from_shared(name, source, now_ms);
  if (now_ms < found->second->answer_by_ms) return std::nullopt;
  auto answer = provisional(*found->second, now_ms);
  if (answer) counters_.stale.add(answer->stale);
  return answer;
}

std::optional<Resolution> Resolver::from_host(const DnsName& name) const {
  if (const Resolution* found = system_->hosts.find(name.view())) {
    if (config_.family == AddressFamilies::any) return *found;
    return Resolution::sorted(found->list(), config_.family);
  }
  // RFC 6761 section 6.3: such names are never sent to servers.
  const std::string_view view = name.view();
  if (view != "localhost" && !view.ends_with(".localhost")) return std::nullopt;
  return Resolution::of(std::array{loopback_v6}, std::array{loopback_v4}, config_.family);
}

std::optional<Resolution> Resolver::from_shared(const DnsName& name, Source source,
                                                std::uint64_t now_ms) {
  if (!shared_ || name.is_service()) return std::nullopt;
  const auto found = shared_->find(name.text(), context(now_ms));
  if (!found) return std::nullopt;
  counters_.shared_hits.add();
  callers(source).cache.adopt(name.text(), found->resolution, found->left_ms, now_ms);
  return found->resolution;
}

DnsContext Resolver::context(std::uint64_t now_ms) const {
  return {.setup = setup_, .flushed_ms = flushed_ms_, .now_ms = boot_ms(now_ms)};
}

// Everything that an answer depends on besides its name: an earlier process, or another one with
// the same pin, may have asked other servers.
std::uint64_t Resolver::setup() const {
  if (!shared_) return 0;
  std::string text;
  for (const Endpoint& server : servers_of(config_, *system_)) text += server.to_string() + '\n';
  for (const std::string& domain : system_->resolv_conf.search) text += domain + '\n';
  text += std::to_string(system_->resolv_conf.ndots) + '\n';
  return shared_->fingerprint(text + std::to_string(static_cast<unsigned>(config_.family)));
}

// The answer for callers that have waited long enough; nullopt: none yet.
std::optional<Resolution> Resolver::provisional(const Question& question, std::uint64_t now_ms) {
  if (question.asked.has_address()) return question.asked.outcome();
  return callers(question.source).cache.find_stale(question.name.text(), now_ms);
}

Resolver::Question& Resolver::start_question(const DnsName& name, Source source,
                                             std::uint64_t now_ms) {
  counters_.questions.add();
  auto question = std::make_unique<Question>(Question{
      .name = name,
      .source = source,
      .asked = question_about(name),
  });
  Question& started = *question;
  callers(source).questions.emplace(name.text(), std::move(question));
  begin(started, now_ms);
  return started;
}

DnsQuestion Resolver::question_about(const DnsName& name) const {
  if (name.is_service()) {
    return DnsQuestion::of_service(std::string(name.view().substr(service_prefix.size())));
  }
  return DnsQuestion(search_candidates(name, system_->resolv_conf), config_.family);
}

void Resolver::begin(Question& question, std::uint64_t now_ms) {
  question.answer_by_ms = never;
  if (provisional(question, now_ms)) answer_by(question, now_ms + limits::stale_wait_ms);
  ask(question);
}

void Resolver::ask(Question& question) {
  rounds_.erase(question.round);
  question.round = ++last_round_;
  rounds_.emplace(question.round, &question);
  channels_->ask(question.asked, question.round);
}

void Resolver::collect_replies(std::uint64_t now_ms) {
  // A reply may lead to the next candidate, which may be answered at once; candidates are finite.
  for (auto replies = channels_->take_replies(); !replies.empty();
       replies = channels_->take_replies()) {
    for (auto& reply : replies) on_reply(std::move(reply), now_ms);
  }
}

void Resolver::on_reply(DnsChannel::TaggedReply reply, std::uint64_t now_ms) {
  const auto found = rounds_.find(reply.tag);
  if (found == rounds_.end()) return;
  Question& question = *found->second;
  question.asked.on_reply(reply.family, std::move(reply.reply));
  if (!question.asked.complete()) {
    if (question.asked.has_address()) answer_by(question, now_ms + limits::resolution_delay_ms);
  } else if (question.asked.advance()) {
    ask(question);
  } else {
    finish(question, now_ms);
  }
}

void Resolver::finish(Question& question, std::uint64_t now_ms) {
  DnsCache& cache = callers(question.source).cache;
  const std::string_view key = question.name.text();
  Resolution outcome = question.asked.outcome();
  if (outcome.status == Resolution::Status::failed ||
      outcome.status == Resolution::Status::unanswered) {
    counters_.failed.add();
    cache.store_failure(key, outcome.status, now_ms);
    if (const auto stale = cache.find_stale(key, now_ms)) outcome = *stale;
  } else {
    counters_.not_found.add(outcome.is_negative());
    const auto failure_ttl_ms = static_cast<std::uint64_t>(config_.negative_ttl.count());
    const std::uint64_t kept_ms =
        cache.store(key, outcome, question.asked.ttl_ms(failure_ttl_ms), now_ms);
    // The map has only addresses.
    if (shared_ && !question.name.is_service())
      shared_->store(key, outcome, context(now_ms), kept_ms);
  }
  deliver(question, outcome);
  erase(question);
}

void Resolver::erase(Question& question) {
  assert(question.waiters.empty());
  rounds_.erase(question.round);
  due_.erase({question.answer_by_ms, &question});
  Questions& questions = callers(question.source).questions;
  questions.erase(questions.find(question.name.text()));
}

void Resolver::answer_by(Question& question, std::uint64_t at_ms) {
  if (at_ms >= question.answer_by_ms) return;
  due_.erase({question.answer_by_ms, &question});
  question.answer_by_ms = at_ms;
  due_.emplace(at_ms, &question);
}

void Resolver::add_waiter(Question& question, Waiter waiter) {
  waits_[waiter] = {
      .question = &question, .position = question.waiters.size(), .serial = ++last_serial_};
  question.waiters.push_back(waiter);
  ++callers(question.source).waiters;
}

void Resolver::deliver(Question& question, const Resolution& resolution) {
  for (const Waiter waiter : question.waiters) {
    Wait& wait = waits_.at(waiter);
    wait.question = nullptr;
    answers_.push_back(
        {.serial = wait.serial, .answer = {.waiter = waiter, .resolution = resolution}});
    counters_.stale.add(resolution.stale);
  }
  callers(question.source).waiters -= question.waiters.size();
  question.waiters.clear();
}

void Resolver::cancel(Waiter waiter) {
  const auto found = waits_.find(waiter);
  if (found == waits_.end()) return;
  const Wait wait = found->second;
  waits_.erase(found);
  if (!wait.question) return;  // take_answer() skips the queued answer.
  std::vector<Waiter>& waiters = wait.question->waiters;
  if (wait.position + 1 < waiters.size()) {
    waiters[wait.position] = waiters.back();
    waits_.at(waiters.back()).position = wait.position;
  }
  waiters.pop_back();
  --callers(wait.question->source).waiters;
}

std::optional<Resolver::Answer> Resolver::take_answer() {
  while (!answers_.empty()) {
    const QueuedAnswer queued = answers_.front();
    answers_.pop_front();
    const auto found = waits_.find(queued.answer.waiter);
    if (found == waits_.end() || found->second.serial != queued.serial) continue;
    waits_.erase(found);
    return queued.answer;
  }
  return std::nullopt;
}

void Resolver::on_ready(std::uint32_t watch_id, bool readable, bool writable,
                        std::uint64_t now_ms) {
  channels_->on_ready(watch_id, readable, writable);
  collect_replies(now_ms);
}

std::optional<std::uint64_t> Resolver::next_deadline_ms(std::uint64_t now_ms) {
  std::optional<std::uint64_t> deadline_ms = channels_->next_deadline_ms(now_ms);
  if (due_.empty()) return deadline_ms;
  return std::min(deadline_ms.value_or(never), due_.begin()->first);
}

void Resolver::on_tick(std::uint64_t now_ms) {
  channels_->on_tick();
  collect_replies(now_ms);
  while (!due_.empty() && due_.begin()->first <= now_ms) {
    Question& question = *due_.begin()->second;
    due_.erase(due_.begin());
    if (const auto answer = provisional(question, now_ms)) deliver(question, *answer);
  }
}

Result<void> Resolver::reload(const DnsConfig& config, std::shared_ptr<const SystemNames> system,
                              std::uint64_t now_ms) {
  assert(system);
  const bool asks_otherwise = !asks_alike(config_, *system_, config, *system);
  if (asks_otherwise) {
    auto channels = DnsChannels::create(config, servers_of(config, *system), io_, watch_ids_);
    if (!channels) return std::unexpected(std::move(channels.error()));
    channels_ = std::move(*channels);
  }
  const bool other_families = config.family != config_.family;
  config_ = config;
  system_ = std::move(system);
  for (Callers& asking : callers_) asking.cache.configure(config);
  if (asks_otherwise) forget(other_families, now_ms);
  restart_questions(asks_otherwise, now_ms);
  return {};
}

// Earlier answers came from other servers or options.
void Resolver::forget(bool addresses_too, std::uint64_t now_ms) {
  setup_ = setup();
  flushed_ms_ = boot_ms(now_ms);
  for (Callers& asking : callers_) {
    if (addresses_too) {
      asking.cache.clear();
    } else {
      asking.cache.expire_all(now_ms);
    }
  }
}

// Questions that the hosts file now answers are answered; if `all`, the others start again.
void Resolver::restart_questions(bool all, std::uint64_t now_ms) {
  if (all) due_.clear();
  std::vector<Question*> under_way;
  for (const Callers& asking : callers_) {
    for (const auto& [name, question] : asking.questions) under_way.push_back(question.get());
  }
  for (Question* question : under_way) {
    if (const auto answer = from_host(question->name)) {
      deliver(*question, *answer);
      erase(*question);
    } else if (all) {
      question->asked = question_about(question->name);
      begin(*question, now_ms);
    }
  }
  collect_replies(now_ms);
}

}  // namespace sni
