// Traffic of all workers: the questions that the main thread asks.

#include <any>
#include <utility>

#include "net/random_key.h"
#include "net/server/server.h"
#include "net/server/traffic_round.h"

namespace sni {

void Server::gather_traffic(std::vector<TrafficKind> kinds, TrafficDone done) {
  auto round = std::make_shared<TrafficRound>();
  round->answer.sums.assign(kinds.size(), TrafficSum(random_key()));
  round->kinds = std::move(kinds);
  round->asked = workers_.size();
  round->done = std::move(done);
  for (std::size_t i = 0; i < workers_.size(); ++i) ask_traffic(round, i, 0);
}

void Server::ask_traffic(const std::shared_ptr<TrafficRound>& round, std::size_t worker,
                         std::uint32_t from) {
  if (workers_[worker]->ended()) {  // Its thread is gone, but its counts are not.
    round->add(workers_[worker]->traffic_reports(round->kinds));
    return round->leave();
  }
  ask(
      worker,
      [kinds = round->kinds, from](Worker& each) { return std::any(each.traffic(kinds, from)); },
      [this, round, worker](const Gather::Answers& answers) {
        const auto* page = std::any_cast<TrafficPage>(&answers.front());
        if (page == nullptr && workers_[worker]->ended()) return ask_traffic(round, worker, 0);
        if (page == nullptr) round->answer.unanswered.push_back(worker);
        if (page != nullptr && page->next) return ask_traffic(round, worker, *page->next);
        if (page != nullptr) round->add(page->reports);
        round->leave();
      });
}

}  // namespace sni
