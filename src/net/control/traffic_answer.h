#pragma once

// Traffic in the format of the control socket:
//
//   {"by": "name", "rows": [{"key": "a.example", "connections": 3, "client_bytes": 1024,
//    "server_bytes": 70000}, ...], "other": {"connections": 0, "client_bytes": 0, ...}}

#include <nlohmann/json_fwd.hpp>

#include "core/traffic/traffic.h"

namespace sni {

nlohmann::json traffic_answer(TrafficKind kind, const TrafficReport& report);

}  // namespace sni
