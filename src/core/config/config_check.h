#pragma once

// Checks between the values of a configuration: no two listeners on one address, no route that an
// earlier one hides, no backend that is the proxy itself.

#include <vector>

#include "core/config/config.h"
#include "core/config/diagnostic.h"

namespace sni {

// Where the file names users and groups. Only the host knows whether they exist.
struct AccountPlaces {
  Position user;
  Position group;
  Position control_group;
};

// Files that the proxy writes. Only the host knows whether their directories exist.
struct OutputPlaces {
  Position access_file;
  Position stats_file;
};

// The position of each value in the file. The lists are parallel to those of the Config that was
// read from it.
struct ConfigPlaces {
  struct Listener {
    Position table;
    Position name;
    Position address;
    Position accept_proxy_from;
  };
  struct Route {
    Position table;
    Position refuse;
    Position redirect;
    Position balance;
    Position queue;
    Position connections;
    Position access;
    Position alpn;
    Position allow_private;
    Position send_proxy;
    Position send_proxy_fields;
    Position via;
    Position health;
    Position transparent;
    std::vector<Position> bind_addresses;
    std::vector<Position> names;
    std::vector<Position> backends;
    std::vector<Position> listeners;  // Empty where the route takes the default.
  };
  struct Upstream {
    Position table;
    Position name;
    Position address;
    Position username;
    Position password_file;
  };
  struct Health {
    Position table;
    Position name;
  };
  std::vector<Listener> listeners;
  std::vector<Route> routes;
  std::vector<Upstream> upstreams;
  std::vector<Health> healths;
  Position dns;
  Position timeouts;
  Position limits;
  Position access;
  Position block_file;
  AccountPlaces accounts;
  OutputPlaces outputs;
  Position bans;
  Position metrics;
  Position drain_spliced;
};

void check_config(const Config& config, const ConfigPlaces& places, DiagnosticList& diagnostics);

}  // namespace sni
