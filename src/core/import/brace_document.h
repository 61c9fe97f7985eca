#pragma once

// Configurations of words and braces, as nginx and sniproxy have them, as a tree. Comments begin
// with "#" where a word could.

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
  semicolons,  // nginx: a directive ends at ';', and a backslash stays where it escapes nothing.
  lines,       // sniproxy: it ends with its line, and a backslash makes any character a plain one.
};

// An Error names the line. Blocks nest up to limits::import_depth_max deep.
Result<std::vector<Directive>> parse_braces(std::string_view text, BraceStyle style);

}  // namespace sni
