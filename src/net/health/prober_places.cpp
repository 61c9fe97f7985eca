// The prober, part on places: which addresses a backend leads to in each round of its check. A round
// ends when its last question is answered. Then addresses that its names no longer have are
// forgotten. A name without an answer keeps its addresses, which are still checked: resolvers may
// fail while the backends serve.

#include <algorithm>
#include <utility>

#include "core/limits.h"
#include "net/health/prober.h"

namespace sni {

void HealthProber::begin(Check& check, std::uint64_t now_ms) {
  schedule(check, now_ms + interval_of(check.target.config));
  if (check.asking > 0) return;  // Resolving its names takes longer than the interval.
  check.found = 0;
  check.unanswered.clear();
  for (auto& [id, way] : check.ways) way.current = false;
  const Backend& backend = check.target.backend->backend;
  switch (backend.kind) {
    case Backend::Kind::address:
      add(check, backend.endpoint, {}, now_ms);
      break;
    case Backend::Kind::unix_path:
      add(check, {}, {}, now_ms);
      break;
    case Backend::Kind::name:
    case Backend::Kind::service:
      ask(check, {.backend = check.target.backend->id, .host = backend.host, .port = backend.port},
          now_ms);
      break;
    case Backend::Kind::requested_name:
    case Backend::Kind::captured_name:
      return;
  }
  if (check.asking == 0) end_round(check, now_ms);
}

void HealthProber::ask(Check& check, Question question, std::uint64_t now_ms) {
  const Resolver::Waiter waiter = ++last_waiter_;
  const auto answer =
      resolver_->resolve(question.host, Resolver::Source::configuration, waiter, now_ms);
  if (answer) return take(check, question, *answer, now_ms);
  ++check.asking;
  questions_.emplace(waiter, std::move(question));
}

void HealthProber::take(Check& check, const Question& question, const Resolution& resolution,
                        std::uint64_t now_ms) {
  if (resolution.services != nullptr) {
    for (const ServiceTarget& target : *resolution.services) {
      ask(check, {.backend = question.backend, .host = target.host, .port = target.port}, now_ms);
    }
    return;
  }
  if (resolution.count() == 0) check.unanswered.insert(question.host);
  for (const IpAddress& address : resolution.list()) {
    add(check, {.ip = address, .port = question.port}, question.host, now_ms);
  }
}

void HealthProber::take_answers(std::uint64_t now_ms) {
  while (const auto answer = resolver_->take_answer()) {
    const auto asked = questions_.extract(answer->waiter);
    if (!asked) continue;
    Check& check = checks_.at(asked.mapped().backend);
    --check.asking;
    take(check, asked.mapped(), answer->resolution, now_ms);
    if (check.asking == 0) end_round(check, now_ms);
  }
}

// Its probe begins at once, so that no address waits for another name's answer.
void HealthProber::add(Check& check, const Endpoint& endpoint, const std::string& host,
                       std::uint64_t now_ms) {
  if (check.found == limits::health_addresses) return;
  ++check.found;
  const BackendId backend = check.target.backend->id;
  const auto id = id_of(check, endpoint);
  Way& way = check.ways[id];
  way.host = host;
  way.current = true;
  places_.try_emplace(id, Place{.endpoint = endpoint}).first->second.users.insert(backend);
  begin_probe(backend, id, now_ms);
}

void HealthProber::end_round(Check& check, std::uint64_t now_ms) {
  const BackendId backend = check.target.backend->id;
  const bool all_stay = check.unanswered.contains(check.target.backend->backend.host);
  std::vector<EndpointBoard::Id> rest;
  std::erase_if(check.ways, [&](const auto& each) {
    const auto& [id, way] = each;
    if (way.current) return false;
    const bool stays = all_stay || check.unanswered.contains(way.host);
    if (stays) {
      rest.push_back(id);
    } else {
      drop(backend, id);
    }
    return !stays;
  });
  for (const auto id : rest) begin_probe(backend, id, now_ms);
}

// The backend no longer leads to the place.
void HealthProber::drop(BackendId backend, EndpointBoard::Id id) {
  const auto found = places_.find(id);
  found->second.users.erase(backend);
  if (!found->second.users.empty()) return;
  std::erase_if(under_way_, [this, id](const auto& each) {
    if (each.second.place != id) return false;
    until_.erase({each.second.until_ms, each.first});
    return true;
  });
  if (!found->second.state.up()) board_.release(id);
  places_.erase(found);
}

// The backend is no longer checked.
void HealthProber::forget(Check& check) {
  const BackendId backend = check.target.backend->id;
  std::erase_if(questions_, [this, backend](const auto& each) {
    if (each.second.backend != backend) return false;
    resolver_->cancel(each.first);
    return true;
  });
  for (const auto& [id, way] : check.ways) drop(backend, id);
  check.ways.clear();
}

EndpointBoard::Id HealthProber::id_of(const Check& check, const Endpoint& endpoint) const {
  return endpoint.port != 0 ? board_.id_of(endpoint)
                            : board_.id_of(check.target.backend->backend.host);
}

}  // namespace sni
