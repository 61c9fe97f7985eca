#include "net/interface_index.h"

#include <net/if.h>

#include <string>

namespace sni {

std::optional<std::uint32_t> interface_index(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.contains('\0')) return std::nullopt;
  const unsigned index = if_nametoindex(std::string(name).c_str());
  return index == 0 ? std::nullopt : std::optional<std::uint32_t>(index);
}

}  // namespace sni
