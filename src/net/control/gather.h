#pragma once

// Theory of operation: one question to many threads, answered when all have.
//
//   main thread: ask() -> a ticket for each worker, by its mailbox -> worker: answer(), on its thread
//   -> an eventfd wakes the main thread -> dispatch() -> done(answers)
//
// Nothing blocks. A stuck worker only loses its own answer, which is missing at the deadline. A
// worker that has ended drops its ticket, which counts as an empty answer. Late answers are
// discarded.

#include <any>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class Gather {
 public:
  // One per worker, in their order. Empty: it did not answer.
  using Answers = std::vector<std::any>;
  using Done = std::function<void(Answers)>;

  // One worker's means to answer. Thread-safe; may outlive the Gather.
  class Ticket;

  static Result<std::unique_ptr<Gather>> create();

  // `deadline_ms`: the latest time of the call of done(), in CLOCK_MONOTONIC.
  std::vector<Ticket> ask(std::size_t workers, std::uint64_t deadline_ms, Done done);

  // Readable when dispatch() has work; dispatch() must also be called at deadline_ms().
  int fd() const { return board_->wake.get(); }
  std::optional<std::uint64_t> deadline_ms() const;
  void dispatch(std::uint64_t now_ms);

 private:
  struct Round {
    std::size_t missing = 0;
    Answers answers;
  };
  // Shared by tickets and the main thread.
  struct Board {
    UniqueFd wake;
    std::mutex mutex;  // For the rounds.

    void put(Round& round, std::size_t worker, std::any answer);
  };
  struct Open {
    std::shared_ptr<Round> round;
    std::uint64_t deadline_ms;
    Done done;
  };

  explicit Gather(UniqueFd wake);

  std::shared_ptr<Board> board_;
  std::vector<Open> open_;
};

class Gather::Ticket {
 public:
  ~Ticket() { answer({}); }
  Ticket(Ticket&&) noexcept = default;
  Ticket& operator=(Ticket&&) = delete;

  // Only the first call counts.
  void answer(std::any content);

 private:
  friend class Gather;
  Ticket(std::shared_ptr<Board> board, std::shared_ptr<Round> round, std::size_t worker)
      : board_(std::move(board)), round_(std::move(round)), worker_(worker) {}

  std::shared_ptr<Board> board_;  // Empty: answered.
  std::shared_ptr<Round> round_;
  std::size_t worker_;
};

}  // namespace sni
