#pragma once

// Reports of live connections. A worker fills one page at a time, so that a list of any length
// delays its work by no more than one page.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address/address.h"
#include "core/session/flow_record.h"
#include "core/session/session.h"

namespace sni {

// The progress of a connection.
struct FlowProgress {
  Phase phase = Phase::hello;
  PlaneId plane = PlaneId::none;
  std::uint64_t to_backend = 0;  // Bytes forwarded.
  std::uint64_t to_client = 0;
  std::uint64_t idle_ms = 0;  // Since bytes last moved, or since accept if none have.
};

struct LiveFlow {
  std::uint64_t serial = 0;
  Endpoint client;
  std::string listener;
  std::string server_name;  // As received: may contain unprintable characters.
  std::string route;        // Empty: none yet.
  std::string backend;      // The address tried or connected to; empty: none yet.
  std::uint64_t age_ms = 0;
  std::uint64_t rate = 0;  // Bytes per second, both ways (core/session/flow_rate.h).
  FlowProgress progress;
};

// `now_ms`: of the clock of the record's start.
LiveFlow live_flow(const FlowRecord& record, const FlowProgress& progress, std::uint64_t now_ms);

struct FlowPage {
  std::vector<LiveFlow> flows;  // Of a list.
  std::uint32_t killed = 0;
  std::optional<std::uint32_t> next;  // Where the next page begins; nullopt: this was the last one.
};

// Places in the ledger that one page examines, about 50 ns each, and connections that it lists or
// ends, about 1 us each.
inline constexpr std::uint32_t flow_page_places = 4096;
inline constexpr std::uint32_t flow_page_flows = 512;

}  // namespace sni
