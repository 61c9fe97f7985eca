#include "core/hello/server_name.h"

#include <algorithm>
#include <cstddef>

#include "core/ascii.h"

namespace sni {
namespace {

constexpr std::size_t label_max = 63;  // RFC 1035 2.3.4.

// A label has no colon, so whatever has two and otherwise the characters of an IPv6 address is
// meant as one; whether it is a correct one makes no difference to a client that then has no name.
bool is_ipv6_literal(std::string_view text) {
  return std::ranges::count(text, ':') >= 2 &&
         std::ranges::all_of(text, [](char c) { return is_hex_digit(c) || c == ':' || c == '.'; });
}

bool is_number(std::string_view label) {
  if (label.starts_with("0x")) return std::ranges::all_of(label.substr(2), is_hex_digit);
  return std::ranges::all_of(label, is_digit);
}

}  // namespace

std::optional<std::uint8_t> canonical_server_name(std::string_view text,
                                                  std::span<char, limits::server_name_max> out) {
  if (is_ipv6_literal(text)) return 0;
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > out.size()) return std::nullopt;

  std::size_t label_begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = to_lower(text[i]);
    out[i] = c;
    if (c == '.') {
      if (i == label_begin) return std::nullopt;
      label_begin = i + 1;
    } else if ((!is_letter(c) && !is_digit(c) && c != '-' && c != '_') ||
               i - label_begin >= label_max) {
      return std::nullopt;
    }
  }
  if (label_begin == text.size()) return std::nullopt;
  if (is_number({out.data() + label_begin, text.size() - label_begin})) return 0;
  return static_cast<std::uint8_t>(text.size());
}

}  // namespace sni
