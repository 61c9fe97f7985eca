#include "bench/pin.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "net/server/cpu_count.h"

namespace sni::bench {

int proxy_cpu(int round) {
  if (allowed_cpus().size() > 2) return 2;
  return round % 2 == 0 ? client_cpu : backend_cpu;
}

Pinned::Pinned(int index) {
  if (::sched_getaffinity(0, sizeof before_, &before_) != 0 || CPU_COUNT(&before_) < 2) return;
  cpu_set_t chosen{};
  CPU_SET(allowed_cpus()[static_cast<std::size_t>(index)], &chosen);
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
