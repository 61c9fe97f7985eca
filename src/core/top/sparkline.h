#pragma once

// The course of a value in one line of text.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sni {

// The last `width` values, the newest to the right, each as high as it is a part of the greatest of
// them; blanks where there are fewer. `unicode`: by block elements (U+2581 to U+2588), else ASCII.
std::string sparkline(std::span<const std::uint64_t> values, std::size_t width, bool unicode);

}  // namespace sni
