#pragma once

// Lets background threads give way to the workers.

#include <sys/resource.h>
#include <unistd.h>

namespace sni {

// `nice` as in nice(2), 0..19: with 5 a thread gets about a quarter of a CPU that a worker also
// wants, with 10 a tenth. On Linux it applies only to the calling thread (setpriority(2)).
inline void give_way(int nice) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice);
}

}  // namespace sni
