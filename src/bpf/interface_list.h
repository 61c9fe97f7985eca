#pragma once

#include <net/if.h>

#include <memory>

namespace sni {

struct FreeInterfaces {
  void operator()(struct if_nameindex* all) const { ::if_freenameindex(all); }
};

// What if_nameindex(3) returns; its end is an entry whose index is 0. Null where it failed.
using InterfaceList = std::unique_ptr<struct if_nameindex, FreeInterfaces>;

inline InterfaceList list_interfaces() {
  return InterfaceList(::if_nameindex());
}

}  // namespace sni
