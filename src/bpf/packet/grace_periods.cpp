#include "bpf/packet/grace_periods.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/decimal.h"

namespace sni {

namespace {

// On more CPUs a round would disturb them all and take longer than RCU.
constexpr std::size_t visited_max = 16;

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The CPUs of a list as in "0-3,5". Empty: it cannot be read, or has more than visited_max.
std::vector<std::size_t> cpus_of(std::string_view list) {
  std::vector<std::size_t> cpus;
  while (!list.empty()) {
    const std::string_view part = list.substr(0, list.find(','));
    list.remove_prefix(std::min(part.size() + 1, list.size()));
    const std::size_t dash = std::min(part.find('-'), part.size());
    const auto first = parse_decimal(part.substr(0, dash), CPU_SETSIZE - 1);
    const auto last =
        dash == part.size() ? first : parse_decimal(part.substr(dash + 1), CPU_SETSIZE - 1);
    if (!first || !last || *last < *first) return {};
    if (cpus.size() + *last - *first + 1 > visited_max) return {};
    for (std::size_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

// Returns whether this thread has run on each CPU.
bool visit_cpus() {
  static const bool allowed = first_line("/sys/kernel/realtime") != "1" &&
                              first_line("/sys/devices/system/cpu/isolated").empty();
  cpu_set_t before;
  if (!allowed || sched_getaffinity(0, sizeof before, &before) != 0) return false;
  // One that comes online meanwhile has not been doing anything.
  const auto cpus = cpus_of(first_line("/sys/devices/system/cpu/online"));
  const bool visited = !cpus.empty() && std::ranges::all_of(cpus, [](std::size_t cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
  });
  sched_setaffinity(0, sizeof before, &before);
  return visited;
}

}  // namespace

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
      const bool waited =
          visit_cpus() || ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
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
