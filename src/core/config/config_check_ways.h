#pragma once

// Checks how backends are reached: SOCKS5 servers, and source addresses and ports.

#include "core/config/config_check.h"

namespace sni {

void check_ways(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics);

}  // namespace sni
