#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sni {

// The index of a network interface in this network namespace; nullopt: there is no such interface.
// For InterfaceLookup.
std::optional<std::uint32_t> interface_index(std::string_view name);

// The name of the network interface with this index in this network namespace; empty: there is none,
// or its name is not fit for the log. For InterfaceNames. Costs three system calls and keeps nothing,
// since names change: only link-local addresses have a scope.
std::string interface_name(std::uint32_t index);

}  // namespace sni
