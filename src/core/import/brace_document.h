#pragma once

// Configurations of words and braces, as in nginx and sniproxy, as a tree. Comments begin with "#"
// at the start of a word.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sni {

struct Directive {
  std::uint32_t line = 1;
  std::vector<std::string> words;  // Never empty; the first is its name.
  bool has_block = false;
  std::vector<Directive> block;

  // Empty where it has fewer.
  const std::string& word(std::size_t index) const {
    static const std::string none;
    return index < words.size() ? words[index] : none;
  }
};

enum class BraceStyle : std::uint8_t {
  semicolons,  // nginx: a directive ends at ';'. A backslash that escapes nothing is kept.
  lines,       // sniproxy: it ends with its line. A backslash makes any character literal.
};

// Errors name the line. Blocks nest at most limits::import_depth_max deep.
Result<std::vector<Directive>> parse_braces(std::string_view text, BraceStyle style);

}  // namespace sni
