#include "net/server/worker.h"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <future>
#include <string>
#include <system_error>

#include "core/counted.h"

namespace sni {

namespace {

constexpr std::uint32_t refusal_lines_per_second = 20;
constexpr std::uint32_t change_lines_per_second = 20;

// The CPU may be gone meanwhile (a cpuset of the cgroup); then the worker runs where it can.
void pin_to(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (const int error = pthread_setaffinity_np(pthread_self(), sizeof one, &one); error != 0) {
    spdlog::warn("cannot pin a worker to CPU {}: {}", cpu, std::generic_category().message(error));
  }
}

}  // namespace

Worker::Worker(unsigned number, Shared& shared)
    : number_(number), shared_(shared), wake_fd_(UniqueFd::adopt(eventfd(0, EFD_CLOEXEC))) {}

Result<std::unique_ptr<Worker>> Worker::start(unsigned number, Shared& shared,
                                              NewListeners listeners, std::optional<int> cpu) {
  std::unique_ptr<Worker> worker(new Worker(number, shared));
  if (!worker->wake_fd_) return fail_sys("cannot open an eventfd for a worker", errno);
  std::promise<Result<void>> ready;
  auto set_up = ready.get_future();
  worker->thread_ =
      std::jthread([&ready, cpu, self = worker.get(), given = std::move(listeners)]() mutable {
        pthread_setname_np(pthread_self(), ("worker-" + std::to_string(self->number_)).c_str());
        if (cpu) pin_to(*cpu);  // First, so that its memory is on that CPU's node.
        auto result = self->set_up(given);
        const bool ok = result.has_value();
        ready.set_value(std::move(result));
        if (ok) self->run(std::move(given));
        self->ended_.store(true, std::memory_order_release);
      });
  if (auto result = set_up.get(); !result) return std::unexpected(result.error());
  return worker;
}

Worker::~Worker() {
  join();
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

Result<void> Worker::set_up(const NewListeners& listeners) {
  snapshot_ = listeners.snapshot;
  auto ring = Ring::create(limits::ring_entries);
  if (!ring) return std::unexpected(ring.error());
  loop_.emplace(Loop{.ring = std::move(*ring),
                     .buffers = nullptr,
                     .parking = Parking(shared_.relay_memory),
                     .splices = SplicePool(shared_.relay_memory, snapshot_->settings->splices_max),
                     .low_water = {},
                     .resolver = nullptr,
                     .deadlines = Deadlines(0),
                     .shared = shared_,
                     .counters = counters_,
                     .ledger = Ledger(number_, shared_, counters_, traffic_),
                     .planes = Planes(shared_.fast_path, snapshot_->config.fast_path, counters_,
                                      number_, shared_.run),
                     .bell = *this,
                     .policy = snapshot_->policy(),
                     .refusals_log = LogGate(refusal_lines_per_second),
                     .changes_log = LogGate(change_lines_per_second),
                     .now_ms = monotonic_ms(),
                     .hello_scratch = {}});
  auto buffers = BufferPool::create(loop_->ring);
  if (!buffers) return std::unexpected(buffers.error());
  loop_->buffers = std::move(*buffers);
  if (loop_->planes.notice_fd() >= 0) watch_notices();
  if (loop_->planes.has_packet()) watch_packet_plane();
  auto resolver = Resolver::create(snapshot_->config.dns, snapshot_->system_names, *this,
                                   counters_.dns, shared_.dns_map ? &*shared_.dns_map : nullptr);
  if (!resolver) return std::unexpected(resolver.error());
  loop_->resolver = std::move(*resolver);
  return {};
}

void Worker::run(NewListeners listeners) {
  loop_->ring.read(wake_fd_.get(), wake_count_, {.op = Op::wake});
  apply(std::move(listeners));
  if (loop_->planes.has_packet()) take_over_flows();
  while (!draining_ || slots_.used() > 0 || has_listeners() || spliced() > 0) {
    if (const auto turned = turn(); !turned) {
      failure_ = turned.error();
      break;
    }
  }
  if (loop_->planes.has_packet() && loop_->planes.packet().leaves_flows()) {
    left_ = static_cast<std::uint32_t>(loop_->planes.packet().living());
  }
  loop_->resolver.reset();  // It returns its watches, so it is destroyed before the ring.
  loop_.reset();
}

std::size_t Worker::spliced() {
  if (!loop_->planes.has_packet() || loop_->planes.packet().leaves_flows()) return 0;
  return loop_->planes.packet().living();
}

bool Worker::has_listeners() const {
  return std::ranges::any_of(listeners_, [](const auto& each) { return each != nullptr; });
}

Result<void> Worker::turn() {
  if (auto turned = loop_->ring.turn(wait_ms()); !turned) return turned;
  loop_->now_ms = monotonic_ms();
  loop_->ring.for_each_completion([this](const Completion& completion) { dispatch(completion); });
  loop_->resolver->on_tick(loop_->now_ms);
  take_answers();
  expire_deadlines();
  end_evicted();
  loop_->ledger.hand_over_lines();
  return {};
}

std::int64_t Worker::wait_ms() {
  std::uint64_t next = UINT64_MAX;
  if (const auto deadline = loop_->deadlines.next_ms()) next = std::min(next, *deadline);
  if (const auto resolver = loop_->resolver->next_deadline_ms(loop_->now_ms)) {
    next = std::min(next, *resolver);
  }
  if (const auto low_water = loop_->low_water.next_ms()) next = std::min(next, *low_water);
  next = std::min({next, loop_->refusals_log.next_ms(), loop_->changes_log.next_ms()});
  for (const auto& listener : listeners_) {
    if (listener != nullptr && listener->retry_ms != 0) next = std::min(next, listener->retry_ms);
  }
  if (next == UINT64_MAX) return -1;
  return next <= loop_->now_ms ? 0 : static_cast<std::int64_t>(next - loop_->now_ms);
}

void Worker::dispatch(const Completion& completion) {
  const OpTag tag = completion.tag;
  switch (tag.op) {
    case Op::receive:
    case Op::send:
    case Op::connect:
    case Op::watch: {
      Connection* connection = slots_.find(tag.slot, tag.generation);
      assert(connection != nullptr && "a slot was freed with something in flight");
      connection->on_completion(completion);
      return free_if_closed(tag.slot);
    }
    case Op::accept:
      return on_accept(completion);
    case Op::resolver:
      if (completion.result == -ECANCELED) return;
      return loop_->resolver->on_ready(tag.slot, (completion.result & ~POLLOUT) != 0,
                                       (completion.result & ~POLLIN) != 0, loop_->now_ms);
    case Op::wake:
      return on_wake();
    case Op::notice:
      while (const auto woken = loop_->planes.take_woken()) loop_->ring.cancel(unpack(*woken));
      return watch_notices();
    case Op::packet:
      on_packet_plane();
      return watch_packet_plane();
    case Op::cancel:
      return;
  }
}

void Worker::take_answers() {
  while (const auto answer = loop_->resolver->take_answer()) {
    const OpTag tag = unpack(answer->waiter);
    Connection* connection = slots_.find(tag.slot, tag.generation);
    assert(connection != nullptr && "a connection closed without cancelling its question");
    connection->on_resolved(answer->resolution);
    free_if_closed(tag.slot);
  }
}

void Worker::expire_deadlines() {
  loop_->deadlines.expire(loop_->now_ms, [this](std::uint32_t slot) {
    slots_.find(slot)->on_deadline();
    free_if_closed(slot);
  });
  loop_->low_water.expire(loop_->now_ms, [this](LowWaterEntry entry) {
    Connection* connection = slots_.find(entry.slot, entry.generation);
    return connection != nullptr ? connection->on_low_water_due(entry.side) : std::nullopt;
  });
  for (std::uint32_t id = 0; id < listeners_.size(); ++id) {
    Listener* listener = listeners_[id].get();
    if (listener == nullptr || listener->retry_ms == 0 || listener->retry_ms > loop_->now_ms)
      continue;
    listener->retry_ms = 0;
    listener->retired ? close_retired(id) : arm(id);
  }
  if (const std::uint64_t lines = loop_->refusals_log.take_suppressed(loop_->now_ms)) {
    spdlog::info("{} about refused or failed connections {} left out", counted(lines, "more line"),
                 lines == 1 ? "was" : "were");
  }
  if (const std::uint64_t lines = loop_->changes_log.take_suppressed(loop_->now_ms)) {
    spdlog::warn("{} about backends that are out and back {} left out", counted(lines, "more line"),
                 lines == 1 ? "was" : "were");
  }
}

void Worker::end_evicted() {
  for (const ParkedOwner& owner : loop_->parking.take_evicted()) {
    Connection* connection = slots_.find(owner.slot, owner.generation);
    if (connection == nullptr) continue;
    connection->kill(EndReason::relay_memory);
    free_if_closed(owner.slot);
  }
}

void Worker::free_if_closed(std::uint32_t slot) {
  if (slots_.find(slot)->closed()) slots_.free(slot);
}

void Worker::watch_notices() {
  loop_->ring.poll(loop_->planes.notice_fd(), POLLIN, {.op = Op::notice});
}

void Worker::watch_packet_plane() {
  loop_->ring.poll(loop_->planes.packet().fd(), POLLIN, {.op = Op::packet});
}

void Worker::on_packet_plane() {
  std::vector<PlanePacket::Ended> ended;
  loop_->planes.packet().work({.admission = shared_.admission, .tcp = snapshot_->config.tcp},
                              loop_->now_ms, ended);
  for (const auto& each : ended) {
    loop_->ledger.end(*each.flow, each.end, loop_->refusals_log, loop_->now_ms);
  }
}

void Worker::watch(std::uint32_t id, int fd, bool readable, bool writable) {
  const unsigned events = (readable ? POLLIN : 0U) | (writable ? POLLOUT : 0U);
  loop_->ring.poll(fd, events, {.op = Op::resolver, .slot = id});
}

void Worker::unwatch(std::uint32_t id) {
  loop_->ring.cancel({.op = Op::resolver, .slot = id});
}

// ---- Commands ---------------------------------------------------------------------------------

void Worker::tell(Command command) {
  {
    const std::lock_guard lock(mailbox_mutex_);
    mailbox_.push_back(std::move(command));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_fd_.get(), &one, sizeof one);
}

void Worker::on_wake() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mailbox_mutex_);
    commands.swap(mailbox_);
  }
  loop_->ring.read(wake_fd_.get(), wake_count_, {.op = Op::wake});
  for (Command& command : commands) {
    if (auto* listeners = std::get_if<NewListeners>(&command)) apply(std::move(*listeners));
    if (auto* names = std::get_if<NewNames>(&command)) take_names(std::move(names->names));
    if (const auto* granted = std::get_if<PlaceGranted>(&command)) on_place(unpack(granted->tag));
    if (std::holds_alternative<Drain>(command)) drain();
    if (std::holds_alternative<Stop>(command)) stop();
    if (std::holds_alternative<CountRoutes>(command)) loop_->ledger.for_each(take_route_place);
    if (auto* ask = std::get_if<Ask>(&command)) ask->ticket.answer(ask->question(*this));
  }
}

// The connection may have ended meanwhile; then its place went to the next waiter.
void Worker::on_place(OpTag tag) {
  Connection* connection = slots_.find(tag.slot, tag.generation);
  if (connection == nullptr) return;
  connection->on_place();
  free_if_closed(tag.slot);
}

void Worker::take_names(std::shared_ptr<const SystemNames> names) {
  const auto reloaded =
      loop_->resolver->reload(snapshot_->config.dns, std::move(names), loop_->now_ms);
  if (!reloaded) spdlog::error("the resolver keeps its old servers: {}", reloaded.error().what);
}

void Worker::drain() {
  draining_ = true;
  for (std::uint32_t id = 0; id < listeners_.size(); ++id) retire(id);
}

void Worker::stop() {
  stopping_ = true;
  drain();
  cut_ = slots_.used() + static_cast<std::uint32_t>(spliced());
  if (spliced() > 0) {
    std::vector<PlanePacket::Ended> ended;
    loop_->planes.packet().kill_all(EndReason::cut, ended);
    for (const auto& each : ended) {
      loop_->ledger.end(*each.flow, each.end, loop_->refusals_log, loop_->now_ms);
    }
  }
  for (std::uint32_t slot = 0; slot < slots_.capacity(); ++slot) {
    Connection* connection = slots_.find(slot);
    if (connection == nullptr) continue;
    connection->kill(EndReason::cut);
    free_if_closed(slot);
  }
}

}  // namespace sni
