#include "bench/pin.h"

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

}  // namespace sni::bench
