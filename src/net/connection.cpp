// The actions of the session, performed.

#include "net/connection.h"

#include <sys/socket.h>

#include <algorithm>

#include "bpf/packet/tcp_repair.h"
#include "net/socket.h"

namespace sni {

using Kind = Event::Kind;

namespace {

constexpr std::chrono::milliseconds linger_max{limits::linger_ms_max};
// How long one direction may wait for the reader of the other before a hand-over.
constexpr std::chrono::milliseconds rest_max{50};

constexpr Op op_of(Operation operation) {
  switch (operation) {
    case Operation::connect:
      return Op::connect;
    case Operation::receive:
      return Op::receive;
    case Operation::send:
      return Op::send;
    case Operation::watch:
      return Op::watch;
  }
  return Op::cancel;
}

}  // namespace

Connection::Connection(Loop& loop, ConnectionStart start)
    : loop_(loop), flow_(start.flow), settings_(start.snapshot->settings) {
  flow_.slot = start.slot;
  sockets_.slot = start.slot;
  sockets_.generation = start.generation;
  sockets_.fds[index(Side::client)] = std::move(start.client);
  setup_ = std::make_unique<Setup>(loop_, sockets_, flow_, *settings_, std::move(start.snapshot),
                                   start.listener);
  set_deadline(settings_->timeouts.hello);
  advance({.kind = Kind::accepted});
}

void Connection::advance(Event event) {
  for (;;) {
    next_.reset();
    for (const Action& action : session_.step(event)) perform(action);
    if (!next_ && relay_ && session_.phase() == Phase::relaying && relay_->take_wanted()) {
      next_ = Event{.kind = Kind::wanted};
    }
    if (!next_) break;
    event = *next_;
  }
  if (kept_ != nullptr) drop_kept();
}

// Once bytes have arrived from either side, or timeouts.setup is over, no other backend will be
// tried. The part of the flight that is being sent stays until it is sent.
void Connection::drop_kept() {
  const Phase phase = session_.phase();
  if (phase == Phase::retreating) return;
  const bool open = phase == Phase::relaying || phase == Phase::draining;
  if (open && !session_.eof(Side::backend) && !session_.spoken() && kept_->may_retry()) return;
  if (!session_.armed(Operation::send, Side::client)) kept_.reset();
}

void Connection::perform(const Action& action) {
  switch (action.kind) {
    case Action::Kind::receive:
      return start_receive(action.side);
    case Action::Kind::next_target:
      next_ = setup_->choose_target();
      return;
    case Action::Kind::resolve:
      next_ = setup_->start_resolve();
      return next_ ? void() : watch_setup();
    case Action::Kind::queue:
      next_ = setup_->start_queue();
      return next_ ? void() : watch_setup();
    case Action::Kind::connect:
      next_ = setup_->start_connect();
      return next_ ? void() : watch_setup();
    case Action::Kind::give_up:
      return setup_->give_up();
    case Action::Kind::cancel_others:
      return setup_->cancel_others();
    case Action::Kind::begin_relay:
      return begin_relay();
    case Action::Kind::retreat:
      return retreat();
    case Action::Kind::send:
      return start_send(action.side);
    case Action::Kind::answer:
      return start_answer();
    case Action::Kind::watch:
      return watch(action.side);
    case Action::Kind::shut_down:
      return shut_down(action.side);
    case Action::Kind::flush:
      return flush();
    case Action::Kind::cancel:
      return cancel(/*sends_too=*/true);
    case Action::Kind::rest:
      set_deadline(rest_max);
      return cancel(/*sends_too=*/false);
    case Action::Kind::hand_over:
      return hand_over();
    case Action::Kind::reset:
      return reset_on_close(sockets_.fd(action.side));
    case Action::Kind::close:
      return close();
  }
}

void Connection::start_receive(Side side) {
  if (setup_ != nullptr) return setup_->start_receive();
  if (answering_ != nullptr) return answering_->start_receive();
  next_ = relay_->start_receive(side);
}

void Connection::begin_relay() {
  setup_->tell_backend();
  const bool may_retreat = setup_->may_retry();
  // Moving a flight leaves its bytes where they are.
  const auto first = setup_->flight();
  const std::size_t header_bytes = setup_->header_bytes();
  relay_.emplace(RelayPlace{.loop = loop_,
                            .sockets = sockets_,
                            .session = session_,
                            .flow = flow_,
                            .settings = *settings_,
                            .may_retreat = may_retreat},
                 setup_->take_pair(),
                 may_retreat ? Flight(loop_.shared.flights) : setup_->take_flight(), first,
                 header_bytes);
  served_by_ = setup_->served_by();
  if (may_retreat) kept_ = std::move(setup_);
  setup_.reset();
  loop_.ledger.begin(flow_, loop_.now_ms);
  const auto look = std::min(idle_timeouts().idle, relay_->keepalive_after());
  set_relay_deadline(loop_.now_ms + static_cast<std::uint64_t>(look.count()));
}

void Connection::retreat() {
  relay_->release();
  relay_.reset();
  sockets_.fds[index(Side::backend)].reset();
  setup_ = std::move(kept_);
  setup_->turned_away(reset_early_);
}

void Connection::start_send(Side side) {
  if (answering_ != nullptr) return answering_->start_send();
  if (auto event = relay_->start_send(side)) next_ = event;
}

// The flight is freed before the answer is sent.
void Connection::start_answer() {
  flow_.seat.leave_hello();
  answering_ = std::make_unique<Answering>(loop_, sockets_, setup_->answer(session_.reason()));
  setup_.reset();
  set_deadline(linger_max);
  answering_->start_send();
}

// Errors and hang-ups are always reported, and io_uring also reports a FIN (IO_POLL_UNMASK).
void Connection::watch(Side side) {
  loop_.ring.poll(sockets_.fd(side), 0, sockets_.tag(Op::watch, side));
}

void Connection::shut_down(Side side) {
  shutdown(sockets_.fd(side), SHUT_WR);
  if (session_.phase() != Phase::draining) return;
  set_deadline(std::min(half_closed_look, idle_timeouts().half_closed));
}

void Connection::flush() {
  relay_->begin_flush();
  if (relay_->flushed()) {
    next_ = Event{.kind = Kind::flushed};
  } else {
    set_deadline(flush_interval);
  }
}

void Connection::cancel(bool sends_too) {
  if (session_.attempts() > 0) setup_->cancel_all();
  for (const Operation operation : {Operation::receive, Operation::send, Operation::watch}) {
    if (operation == Operation::send && !sends_too) continue;
    for (const Side side : {Side::client, Side::backend}) {
      if (session_.armed(operation, side)) loop_.ring.cancel(sockets_.tag(op_of(operation), side));
    }
  }
}

void Connection::hand_over() {
  const auto step = relay_->hand_over();
  if (const auto* again = std::get_if<std::chrono::milliseconds>(&step)) {
    return loop_.ring.pause(sockets_.tag(Op::watch, Side::client), *again);
  }
  next_ = std::get<Event>(step);
  if (next_->kind == Kind::handed_over) taken_over_ = true;
}

void Connection::close() {
  FlowEnd end{.reason = session_.reason()};
  if (relay_) {
    end.to_backend = relay_->forwarded(Side::client);
    end.to_client = relay_->forwarded(Side::backend);
    relay_->release();
  }
  if (setup_ != nullptr) setup_->release();
  loop_.deadlines.clear(sockets_.slot);
  loop_.resolver->cancel(pack(sockets_.tag(Op::resolver, Side::backend)));
  if (!taken_over_) loop_.ledger.end(flow_, end, loop_.refusals_log, loop_.now_ms);
  for (UniqueFd& each : sockets_.fds) each.reset();
}

IdleTimeouts Connection::idle_timeouts() const {
  return sni::idle_timeouts(settings_->timeouts, *flow_.record.listener,
                            flow_.record.route->config);
}

FlowProgress Connection::progress() {
  FlowProgress progress{.phase = session_.phase(),
                        .idle_ms = loop_.now_ms - flow_.record.started_ms};
  if (!relay_ || session_.phase() == Phase::closed) return progress;
  progress.plane = relay_->carrier();
  progress.to_backend = relay_->forwarded(Side::client);
  progress.to_client = relay_->forwarded(Side::backend);
  progress.idle_ms = relay_->idle_ms();
  return progress;
}

// And when the flight that is kept for another backend has become useless.
void Connection::set_relay_deadline(std::uint64_t at_ms) {
  const bool waits = kept_ != nullptr && kept_->may_retry();
  loop_.deadlines.set(sockets_.slot, waits ? std::min(at_ms, kept_->setup_until_ms()) : at_ms);
}

void Connection::set_deadline(std::chrono::milliseconds delay) {
  loop_.deadlines.set(sockets_.slot, loop_.now_ms + static_cast<std::uint64_t>(delay.count()));
}

}  // namespace sni
