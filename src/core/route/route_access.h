#pragma once

// Which sources a route serves: `access` of [[route]], evaluated after the hello has selected the
// route. The lists are GuardLists (core/guard/guard_list.h) and mean the same as in [access]. Times
// are seconds of the Unix epoch here, as in the configuration.

#include <chrono>

#include "core/address/address.h"
#include "core/config/config.h"
#include "core/guard/guard_list.h"

namespace sni {

class RouteAccess {
 public:
  explicit RouteAccess(const RouteAccessConfig& config);
  // Thread-safe.
  bool admits(const IpAddress& source, std::chrono::sys_seconds now) const;

 private:
  GuardList list_;
  bool default_allow_;
};

}  // namespace sni
