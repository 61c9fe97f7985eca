#pragma once

#include <net/if.h>

#include <memory>

namespace sni {

struct FreeInterfaces {
  void operator()(struct if_nameindex* all) const { ::if_freenameindex(all); }
};

// The result of if_nameindex(3), which ends with an entry of index 0. Null if it failed.
using InterfaceList = std::unique_ptr<struct if_nameindex, FreeInterfaces>;

inline InterfaceList list_interfaces() {
  return InterfaceList(::if_nameindex());
}

}  // namespace sni
