#include "bpf/packet/grace_periods.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace sni {

struct GracePeriods::Service {
  std::mutex lock;
  std::condition_variable wake;
  std::uint64_t asked = 0;
  std::atomic<std::uint64_t> over{0};
  bool stop = false;
  std::jthread thread;  // Last: it uses all the others.

  void run() {
    // Without membarrier (CPUs in nohz_full): no CPU stays in one softirq for this long.
    constexpr std::chrono::milliseconds softirq_max{500};
    std::unique_lock held(lock);
    for (;;) {
      wake.wait(held, [&] { return stop || asked > over.load(std::memory_order_relaxed); });
      if (stop) return;
      const std::uint64_t ticket = asked;
      held.unlock();
      const bool waited = ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
      held.lock();
      if (!waited) wake.wait_for(held, softirq_max, [&] { return stop; });
      over.store(ticket, std::memory_order_release);
    }
  }
};

GracePeriods::GracePeriods() : service_(std::make_unique<Service>()) {
  service_->thread = std::jthread([service = service_.get()] { service->run(); });
}

GracePeriods::~GracePeriods() {
  const std::lock_guard held(service_->lock);
  service_->stop = true;
  service_->wake.notify_one();
}

std::uint64_t GracePeriods::ask() {
  const std::lock_guard held(service_->lock);
  service_->wake.notify_one();
  return ++service_->asked;
}

bool GracePeriods::passed(std::uint64_t ticket) const {
  return service_->over.load(std::memory_order_acquire) >= ticket;
}

}  // namespace sni
