#pragma once

// Which sources a route serves: `access` of [[route]], looked at once the hello has told the route.
// The lists are those of the guard (core/guard/guard_list.h), with the same meaning as in [access];
// times are seconds of the Unix epoch here, as they are written.

#include <chrono>

#include "core/address/address.h"
#include "core/config/config.h"
#include "core/guard/guard_list.h"

namespace sni {

class RouteAccess {
 public:
  explicit RouteAccess(const RouteAccessConfig& config);
  // Any thread may ask.
  bool admits(const IpAddress& source, std::chrono::sys_seconds now) const;

 private:
  GuardList list_;
  bool default_allow_;
};

}  // namespace sni
