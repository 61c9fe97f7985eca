#pragma once

// Selects the live connections that a command is about: all given conditions must hold.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "core/address/address.h"
#include "core/error.h"
#include "core/session/flow_record.h"

namespace sni {

struct FlowFilter {
  std::optional<std::uint64_t> serial;
  // A server name, or "*.example.com" for all below it; "": clients that sent no name.
  std::optional<std::string> name;
  std::optional<IpPrefix> source;
  // As the configuration has it, or the address connected to.
  std::optional<std::string> backend;
  std::optional<Endpoint> backend_address;  // The same, if it is an address.

  bool matches(const FlowRecord& flow) const;
  // No condition is given: all connections match.
  bool empty() const { return !serial && !name && !source && !backend; }
};

// The members "id", "name", "source" and "backend" of a request, each of which may be absent.
Result<FlowFilter> requested_flows(const nlohmann::json& request);

}  // namespace sni
