#pragma once

// A flow's record as it is saved for a later process (bpf/packet/saved_flows.h), and back.

#include <cstdint>
#include <memory>
#include <span>

#include "bpf/packet/saved_flows.h"
#include "core/route/route_table.h"
#include "core/session/flow_record.h"

namespace sni {

// `run`: of this process (Shared). The plane fills in keys, idle time and bytes.
SavedFlow saved_flow(const FlowRecord& record, std::uint64_t run);

// Route, backend and listener are the current ones with the same names. If there is none, the
// record has no route or backend, and a listener of its own. `listeners` is indexed like the
// routes' listeners.
FlowRecord restored_record(const SavedFlow& flow, const RouteTable& routes,
                           std::span<const std::shared_ptr<const ListenerConfig>> listeners);

}  // namespace sni
