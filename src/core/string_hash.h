#pragma once

// Searches maps with std::string keys by std::string_view without making a string.

#include <functional>
#include <string_view>

#include "core/siphash.h"

namespace sni {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

// The same for names from clients, who must not be able to choose collisions: `key` is random.
struct KeyedStringHash {
  using is_transparent = void;
  SipKey key;
  std::size_t operator()(std::string_view text) const noexcept { return siphash(key, text); }
};

}  // namespace sni
