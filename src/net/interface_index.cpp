#include "net/interface_index.h"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <string>

namespace sni {

std::optional<std::uint32_t> interface_index(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.contains('\0')) return std::nullopt;
  const unsigned index = if_nametoindex(std::string(name).c_str());
  return index == 0 ? std::nullopt : std::optional<std::uint32_t>(index);
}

std::string interface_name(std::uint32_t index) {
  std::array<char, IFNAMSIZ> buffer{};
  if (if_indextoname(index, buffer.data()) == nullptr) return {};
  const std::string name = buffer.data();
  // The kernel forbids little more than slashes, colons and white space (dev_valid_name()).
  const bool fit = std::ranges::all_of(name, [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '%' && c != ']';
  });
  return fit ? name : std::string();
}

}  // namespace sni
