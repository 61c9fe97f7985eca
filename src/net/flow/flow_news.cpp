#include "net/flow/flow_news.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace sni {

FlowNews::FlowNews() : wake_(UniqueFd::adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

void FlowNews::hand_over(std::vector<FlowEvent>& events) {
  if (events.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t room = waiting_max - waiting_.events.size();
    const std::size_t taken = std::min(room, events.size());
    waiting_.events.insert(
        waiting_.events.end(), std::make_move_iterator(events.begin()),
        std::make_move_iterator(events.begin() + static_cast<std::ptrdiff_t>(taken)));
    waiting_.missed += events.size() - taken;
  }
  events.clear();
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof one);
}

void FlowNews::set_followers(std::size_t count) {
  followers_.store(count, std::memory_order_relaxed);
}

FlowNews::Taken FlowNews::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = read(wake_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

}  // namespace sni
