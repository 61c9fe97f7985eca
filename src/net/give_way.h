#pragma once

// What works beside the workers gives way to them.

#include <sys/resource.h>
#include <unistd.h>

namespace sni {

// `nice` as in nice(2), 0..19: with 5 a thread gets about a quarter of a CPU that a worker wants too,
// with 10 a tenth. Holds for the calling thread alone, as Linux has it (setpriority(2)).
inline void give_way(int nice) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice);
}

}  // namespace sni
