#pragma once

// Live connections in the format of the control socket, a page of one worker at a time.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "net/flow/live_flow.h"

namespace sni {

// Where a page begins: "from" and "next" in requests and answers, one number for both.
struct FlowPosition {
  std::size_t worker = 0;
  std::uint32_t place = 0;
};
FlowPosition flow_position(std::size_t number);
std::size_t flow_position_number(FlowPosition position);

// The position after `page`; nullptr: the worker did not answer, so the next worker follows.
// nullopt: that was the last page of the last worker.
std::optional<FlowPosition> position_after(FlowPosition at, const FlowPage* page,
                                           std::size_t last_worker);

// For one that has just begun or ended: without the fields of an ongoing connection.
nlohmann::json followed_flow(const LiveFlow& flow);

nlohmann::json flow_answer(const FlowPage& page, std::optional<FlowPosition> next);

}  // namespace sni
