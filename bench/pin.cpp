#include "bench/pin.h"

#include <algorithm>

namespace sni::bench {

Pinned::Pinned(int index) {
  if (::sched_getaffinity(0, sizeof before_, &before_) != 0 || CPU_COUNT(&before_) < 2) return;
  index = std::min(index, CPU_COUNT(&before_) - 1);
  cpu_set_t chosen{};
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &before_) && seen++ == index) CPU_SET(cpu, &chosen);
  }
  ::sched_setaffinity(0, sizeof chosen, &chosen);
}

Pinned::~Pinned() {
  if (CPU_COUNT(&before_) >= 2) ::sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace sni::bench
