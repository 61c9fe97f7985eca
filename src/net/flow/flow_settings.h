#pragma once

// The settings that a connection needs for its whole life, apart from its route. They are a small
// object of their own, so that a connection keeps no whole configuration alive.

#include <cstdint>

#include "core/config/config.h"

namespace sni {

struct FlowSettings {
  TimeoutConfig timeouts;
  LimitConfig limits;
  bool abort_on_close = false;  // A FIN ends a client that has no backend yet.
  AnswersConfig answers;
  TcpConfig tcp;
  std::uint32_t connections_max = UINT32_MAX;  // limits.connections.
  std::uint32_t relayed_max = 0;               // The same, or as many as the descriptors allow.
  std::uint32_t races_max = 0;                 // Connects of each worker beside a first one.
  std::uint32_t splices_max = 0;               // Kernel pipes of each worker, likewise.
};

}  // namespace sni
