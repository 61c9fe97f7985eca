#pragma once

// Lets maps with std::string keys be searched by std::string_view without making a string.

#include <functional>
#include <string_view>

namespace sni {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

}  // namespace sni
