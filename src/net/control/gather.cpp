#include "net/control/gather.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sni {

Gather::Gather(UniqueFd wake) : board_(std::make_shared<Board>()) {
  board_->wake = std::move(wake);
}

Result<std::unique_ptr<Gather>> Gather::create() {
  UniqueFd wake = UniqueFd::adopt(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake) return fail_sys("cannot open an eventfd for the answers of workers", errno);
  return std::unique_ptr<Gather>(new Gather(std::move(wake)));
}

std::vector<Gather::Ticket> Gather::ask(std::size_t workers, std::uint64_t deadline_ms, Done done) {
  auto round = std::make_shared<Round>();
  round->missing = workers;
  round->answers.resize(workers);
  std::vector<Ticket> tickets;
  for (std::size_t worker = 0; worker < workers; ++worker) {
    tickets.push_back(Ticket(board_, round, worker));
  }
  if (workers == 0) eventfd_write(board_->wake.get(), 1);
  open_.push_back({.round = std::move(round), .deadline_ms = deadline_ms, .done = std::move(done)});
  return tickets;
}

std::optional<std::uint64_t> Gather::deadline_ms() const {
  if (open_.empty()) return std::nullopt;
  return std::ranges::min_element(open_, {}, &Open::deadline_ms)->deadline_ms;
}

void Gather::dispatch(std::uint64_t now_ms) {
  eventfd_t ignored = 0;
  eventfd_read(board_->wake.get(), &ignored);
  // done() may ask again, so ended rounds are removed from the list first.
  std::vector<std::pair<Done, Answers>> ended;
  std::erase_if(open_, [&](Open& each) {
    const std::lock_guard lock(board_->mutex);
    if (each.round->missing > 0 && now_ms < each.deadline_ms) return false;
    ended.emplace_back(std::move(each.done), std::move(each.round->answers));
    each.round->answers.clear();
    return true;
  });
  for (auto& [done, answers] : ended) done(std::move(answers));
}

void Gather::Board::put(Round& round, std::size_t worker, std::any answer) {
  const std::lock_guard lock(mutex);
  if (round.answers.empty()) return;  // It is over.
  round.answers[worker] = std::move(answer);
  if (--round.missing == 0) eventfd_write(wake.get(), 1);
}

void Gather::Ticket::answer(std::any content) {
  if (const auto board = std::exchange(board_, nullptr)) {
    board->put(*round_, worker_, std::move(content));
  }
}

}  // namespace sni
