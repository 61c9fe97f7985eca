#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sni {

// The index of a network interface in this network namespace; nullopt: there is no such interface.
// For InterfaceLookup.
std::optional<std::uint32_t> interface_index(std::string_view name);

}  // namespace sni
