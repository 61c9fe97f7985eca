#pragma once

// What the values of a configuration must be to each other: no two listeners on one address, no
// route that an earlier one hides, no backend that is the proxy itself.

#include <vector>

#include "core/config/config.h"
#include "core/config/diagnostic.h"

namespace sni {

// Where the file says what, beside the Config that was read from it: the lists run in step.
struct ConfigPlaces {
  struct Listener {
    Position table;
    Position name;
    Position address;
  };
  struct Route {
    Position table;
    Position refuse;
    Position redirect;
    Position balance;
    Position alpn;
    Position allow_private;
    std::vector<Position> names;
    std::vector<Position> backends;
    std::vector<Position> listeners;  // Empty where the route takes the default.
  };
  std::vector<Listener> listeners;
  std::vector<Route> routes;
  Position dns;
  Position timeouts;
  Position limits;
  Position access;
  Position block_file;
  Position control_group;
  Position bans;
};

void check_config(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics);

}  // namespace sni
