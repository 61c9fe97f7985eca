#pragma once

// The history of a value in one line of text.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sni {

// The last `width` values, the newest on the right, scaled to the greatest of them; blanks if there
// are fewer. `unicode`: block elements (U+2581 to U+2588), else ASCII.
std::string sparkline(std::span<const std::uint64_t> values, std::size_t width, bool unicode);

}  // namespace sni
