#pragma once

// Checks which clients routes match and serve: names by expression, sources and counts.

#include "core/config/config_check.h"

namespace sni {

void check_clients(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics);

}  // namespace sni
