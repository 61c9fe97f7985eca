#include "net/control/gather.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <thread>
#include <utility>
#include <vector>

using namespace sni;

namespace {

constexpr std::uint64_t deadline = 1000;

bool is_readable(const Gather& gather, int wait_ms = 0) {
  pollfd wait{.fd = gather.fd(), .events = POLLIN, .revents = 0};
  return poll(&wait, 1, wait_ms) == 1;
}

struct Asked {
  std::unique_ptr<Gather> gather = std::move(*Gather::create());
  std::vector<Gather::Answers> done;  // One for each time that done() was called.
  std::vector<Gather::Ticket> tickets;

  explicit Asked(std::size_t workers) {
    tickets = gather->ask(workers, deadline,
                          [this](Gather::Answers answers) { done.push_back(std::move(answers)); });
  }
};

}  // namespace

TEST_CASE("a question is answered when the last worker has") {
  Asked asked(2);
  asked.tickets[1].answer(11);
  asked.gather->dispatch(0);
  CHECK_FALSE(is_readable(*asked.gather));
  CHECK(asked.done.empty());
  std::jthread worker([&] { asked.tickets[0].answer(10); });
  CHECK(is_readable(*asked.gather, 20'000));
  asked.gather->dispatch(0);
  REQUIRE(asked.done.size() == 1);
  CHECK(std::any_cast<int>(asked.done[0][0]) == 10);
  CHECK(std::any_cast<int>(asked.done[0][1]) == 11);
  CHECK_FALSE(asked.gather->deadline_ms());
}

TEST_CASE("a worker that does not answer is missing at the deadline, and its late answer is lost") {
  Asked asked(2);
  asked.tickets[0].answer(10);
  CHECK(asked.gather->deadline_ms() == deadline);
  asked.gather->dispatch(deadline - 1);
  CHECK(asked.done.empty());
  asked.gather->dispatch(deadline);
  REQUIRE(asked.done.size() == 1);
  CHECK(asked.done[0][0].has_value());
  CHECK_FALSE(asked.done[0][1].has_value());
  asked.tickets[1].answer(11);
  asked.gather->dispatch(deadline + 1);
  CHECK(asked.done.size() == 1);
}

TEST_CASE("a ticket that is dropped is an answer without content") {
  Asked asked(1);
  asked.tickets.clear();
  CHECK(is_readable(*asked.gather));
  asked.gather->dispatch(0);
  REQUIRE(asked.done.size() == 1);
  CHECK_FALSE(asked.done[0][0].has_value());
}

TEST_CASE("the first answer of a worker counts") {
  Asked asked(1);
  asked.tickets[0].answer(1);
  asked.tickets[0].answer(2);
  asked.gather->dispatch(0);
  REQUIRE(asked.done.size() == 1);
  CHECK(std::any_cast<int>(asked.done[0][0]) == 1);
}

TEST_CASE("a ticket may outlive its Gather") {
  Asked asked(1);
  asked.gather.reset();
  asked.tickets[0].answer(1);
  CHECK(asked.done.empty());
}

TEST_CASE("a question to no workers is answered at once") {
  Asked asked(0);
  CHECK(is_readable(*asked.gather));
  asked.gather->dispatch(0);
  CHECK(asked.done.size() == 1);
}
