#include "core/dns/resolution.h"

#include <algorithm>

namespace sni {

Resolution Resolution::in_turns(std::span<const IpAddress> v6, std::span<const IpAddress> v4) {
  Resolution resolution;
  for (std::size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
    if (i < v6.size()) resolution.add(v6[i]);
    if (i < v4.size()) resolution.add(v4[i]);
  }
  resolution.status = resolution.count > 0 ? Status::ok : Status::not_found;
  return resolution;
}

}  // namespace sni
