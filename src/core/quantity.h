#pragma once

// Quantities for human readers, in few columns.

#include <cstdint>
#include <string>

namespace sni {

// Three digits and a unit, powers of 1024: "17.3M"; bytes below 1000 as they are.
std::string short_bytes(std::uint64_t bytes);
// "2m30s"; whole seconds from 10 s on.
std::string short_span(std::uint64_t ms);

}  // namespace sni
