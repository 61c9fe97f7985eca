#pragma once

// What a connection needs of the configuration for as long as it lives, apart from its route: a
// small object of its own, so that a connection keeps no whole configuration alive.

#include <cstdint>

#include "core/config/config.h"

namespace sni {

struct FlowSettings {
  TimeoutConfig timeouts;
  LimitConfig limits;
  bool abort_on_close = false;  // A FIN ends a client whose backend is not there yet.
  AnswersConfig answers;
  TcpConfig tcp;
  std::uint32_t connections_max = UINT32_MAX;  // limits.connections.
  std::uint32_t relayed_max = 0;               // That, or what the descriptors allow.
  std::uint32_t splices_max = 0;               // Kernel pipes of each worker, likewise.
};

}  // namespace sni
