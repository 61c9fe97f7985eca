#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sni {

// Of a network interface of this host (in its network namespace); nullopt: there is none of that
// name. For InterfaceLookup.
std::optional<std::uint32_t> interface_index(std::string_view name);

}  // namespace sni
