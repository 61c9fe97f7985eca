#pragma once

// Resolutions as tests write them.

#include <initializer_list>

#include "core/dns/resolution.h"

namespace sni::test {

inline Resolution addresses(std::initializer_list<const char*> list) {
  Resolution resolution{.status = Resolution::Status::ok};
  for (const char* text : list) resolution.add(parse_ip(text).value());
  return resolution;
}

inline Resolution stale(Resolution resolution) {
  resolution.stale = true;
  return resolution;
}

inline const Resolution not_found{.status = Resolution::Status::not_found};
inline const Resolution failed{.status = Resolution::Status::failed};

}  // namespace sni::test
