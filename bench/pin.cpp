#include "bench/pin.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace sni::bench {

int proxy_cpu(int round) {
  cpu_set_t usable{};
  if (::sched_getaffinity(0, sizeof usable, &usable) == 0 && CPU_COUNT(&usable) > 2) return 2;
  return round % 2 == 0 ? client_cpu : backend_cpu;
}

Pinned::Pinned(int index) {
  if (::sched_getaffinity(0, sizeof before_, &before_) != 0 || CPU_COUNT(&before_) < 2) return;
  cpu_set_t chosen{};
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &before_) && seen++ == index) CPU_SET(cpu, &chosen);
  }
  ::sched_setaffinity(0, sizeof chosen, &chosen);
}

Pinned::~Pinned() {
  if (CPU_COUNT(&before_) >= 2) ::sched_setaffinity(0, sizeof before_, &before_);
}

Awake::Awake(bool wanted) {
  if (!wanted) return;
  UniqueFd fd = UniqueFd::adopt(::open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC));
  constexpr std::int32_t wake_us = 0;
  if (fd && ::write(fd.get(), &wake_us, sizeof wake_us) == sizeof wake_us) fd_ = std::move(fd);
}

}  // namespace sni::bench
