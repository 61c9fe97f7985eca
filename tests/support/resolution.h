#pragma once

// Short forms of resolutions for tests.

#include <initializer_list>
#include <utility>
#include <vector>

#include "core/dns/resolution.h"

namespace sni::test {

inline Resolution addresses(std::initializer_list<const char*> list) {
  std::vector<IpAddress> parsed;
  for (const char* text : list) parsed.push_back(parse_ip(text).value());
  return Resolution::of(std::move(parsed));
}

inline Resolution stale(Resolution resolution) {
  resolution.stale = true;
  return resolution;
}

inline const Resolution not_found{.status = Resolution::Status::not_found};
inline const Resolution failed{.status = Resolution::Status::failed};
inline const Resolution unanswered{.status = Resolution::Status::unanswered};

}  // namespace sni::test
