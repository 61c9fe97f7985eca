#pragma once

// haproxy.cfg as sections, with each line split into words.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sni {

struct HaproxyLine {
  std::uint32_t number = 1;
  std::vector<std::string> words;  // Never empty.

  // Empty where it has fewer.
  const std::string& word(std::size_t index) const {
    static const std::string none;
    return index < words.size() ? words[index] : none;
  }
};

struct HaproxySection {
  HaproxyLine head;  // "frontend https", "defaults".
  std::vector<HaproxyLine> lines;

  const std::string& kind() const { return head.words[0]; }
  std::string name() const { return head.words.size() > 1 ? head.words[1] : std::string(); }
};

// A line before the first section opens a section of its own, with its words as the head.
std::vector<HaproxySection> parse_haproxy(std::string_view text);

}  // namespace sni
