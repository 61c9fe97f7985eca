#pragma once

// What a configuration says of the ways to backends: SOCKS5 servers, and where connections come
// from.

#include "core/config/config_check.h"

namespace sni {

void check_ways(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics);

}  // namespace sni
