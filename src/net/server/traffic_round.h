#pragma once

// One question about traffic to all workers: each is asked page by page, in parallel, until its
// reports have arrived; then they are summed.

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "core/traffic/traffic.h"

namespace sni {

struct TrafficAnswer {
  std::vector<TrafficSum> sums;         // One for each requested kind.
  std::vector<std::size_t> unanswered;  // Workers whose traffic is missing.
};
using TrafficDone = std::function<void(const TrafficAnswer&)>;

struct TrafficRound {
  std::vector<TrafficKind> kinds;
  TrafficAnswer answer;
  std::size_t asked = 0;  // Workers that are not done yet.
  TrafficDone done;

  void add(const std::vector<TrafficReport>& reports) {
    for (std::size_t i = 0; i < reports.size(); ++i) answer.sums[i].add(reports[i]);
  }
  // One worker is done.
  void leave() {
    if (--asked == 0) done(answer);
  }
};

}  // namespace sni
