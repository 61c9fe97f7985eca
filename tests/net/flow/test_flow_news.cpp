#include "net/flow/flow_news.h"

#include <doctest/doctest.h>
#include <poll.h>

using namespace sni;

namespace {

bool is_readable(const FlowNews& news) {
  pollfd wait{.fd = news.fd(), .events = POLLIN, .revents = 0};
  return poll(&wait, 1, 0) == 1;
}

}  // namespace

TEST_CASE("what is handed over is taken once, in its order") {
  FlowNews news;
  CHECK_FALSE(is_readable(news));
  std::vector<FlowEvent> events(2);
  events[0].at_ms = 1;
  events[1].at_ms = 2;
  news.hand_over(events);
  CHECK(events.empty());
  CHECK(is_readable(news));
  const auto taken = news.take();
  REQUIRE(taken.events.size() == 2);
  CHECK(taken.events[0].at_ms == 1);
  CHECK(taken.events[1].at_ms == 2);
  CHECK(taken.missed == 0);
  CHECK_FALSE(is_readable(news));
  CHECK(news.take().events.empty());
}

TEST_CASE("more than there is room for is counted, and the first ones stay") {
  FlowNews news;
  std::vector<FlowEvent> events(FlowNews::waiting_max - 1);
  news.hand_over(events);
  events.resize(3);
  events[0].at_ms = 7;
  news.hand_over(events);
  const auto taken = news.take();
  CHECK(taken.events.size() == FlowNews::waiting_max);
  CHECK(taken.events.back().at_ms == 7);
  CHECK(taken.missed == 2);
  CHECK(news.take().missed == 0);
}

TEST_CASE("nothing is wanted until somebody follows") {
  FlowNews news;
  CHECK_FALSE(news.wanted());
  news.set_followers(1);
  CHECK(news.wanted());
  news.set_followers(0);
  CHECK_FALSE(news.wanted());
}
