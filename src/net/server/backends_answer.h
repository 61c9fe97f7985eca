#pragma once

// Backends for the control socket: what is known of each, and taking them out and back.

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/route/backend_table.h"
#include "core/route/endpoint_board.h"
#include "net/health/prober.h"

namespace sni {

// A page of the backends that routes name, from number `from` on, in the order of their ids.
// `health`: null where nothing is checked.
nlohmann::json backends_answer(const BackendTable& backends, const EndpointBoard& board,
                               std::size_t from, const HealthProber* health = nullptr);

// Backends of this text get no new connections any more, and keep those that they have; or get some
// again. How many there are, and how many of these were not so already.
struct Switched {
  std::size_t found = 0;
  std::size_t changed = 0;
};
Switched switch_backends(const BackendTable& backends, std::string_view text, bool disabled);

}  // namespace sni
