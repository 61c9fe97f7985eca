#include "net/server/reaper.h"

#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <stop_token>

#include "net/give_way.h"

namespace sni {

namespace {

// It gives way to the workers, like the threads that build blocklists.
constexpr int reaper_nice = 10;

}  // namespace

Reaper::Reaper() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

Reaper::~Reaper() = default;

void Reaper::take(std::shared_ptr<const void> object) {
  const std::lock_guard lock(mutex_);
  garbage_.push_back(std::move(object));
  filled_.notify_one();
}

void Reaper::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "reaper");
  give_way(reaper_nice);
  for (;;) {
    Garbage taken;
    {
      std::unique_lock lock(mutex_);
      if (!filled_.wait(lock, stop, [this] { return !garbage_.empty(); })) return;
      taken.swap(garbage_);
    }
    const bool frees = std::ranges::any_of(taken, [](const auto& each) { return each != nullptr; });
    taken.clear();
    malloc_trim(0);
    if (frees) freed_ = true;
  }
}

}  // namespace sni
