#pragma once

// Backends for the control socket: the state of each, and disabling and enabling them.

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/route/backend_table.h"
#include "core/route/endpoint_board.h"
#include "net/health/prober.h"

namespace sni {

// A page of the backends that routes name, from number `from` on, sorted by id. `health`: null if
// nothing is checked.
nlohmann::json backends_answer(const BackendTable& backends, const EndpointBoard& board,
                               std::size_t from, const HealthProber* health = nullptr);

// Disables or enables new connections to the backends with this text; they keep existing ones.
// Returns how many there are, and how many of them changed.
struct Switched {
  std::size_t found = 0;
  std::size_t changed = 0;
};
Switched switch_backends(const BackendTable& backends, std::string_view text, bool disabled);

}  // namespace sni
