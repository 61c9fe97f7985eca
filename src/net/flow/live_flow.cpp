#include "net/flow/live_flow.h"

#include "net/flow/ledger.h"

namespace sni {

LiveFlow live_flow(const FlowRecord& record, const FlowProgress& progress, std::uint64_t now_ms) {
  return {.serial = record.serial,
          .client = record.client,
          .listener = record.listener->name,
          .server_name = record.server_name,
          .route = record.route == nullptr ? std::string() : record.route->config.names.front(),
          .backend = backend_of(record),
          .age_ms = now_ms - record.started_ms,
          .progress = progress};
}

}  // namespace sni
