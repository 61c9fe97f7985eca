#pragma once

// Which clients routes take and serve: names by expressions, sources and counts.

#include "core/config/config_check.h"

namespace sni {

void check_clients(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics);

}  // namespace sni
