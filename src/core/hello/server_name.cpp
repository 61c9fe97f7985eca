#include "core/hello/server_name.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

#include "core/ascii.h"
#include "core/decimal.h"

namespace sni {
namespace {

constexpr std::size_t label_max = 63;  // RFC 1035 2.3.4.

// A label has no colon, so text with two colons and otherwise only characters of an IPv6 address is
// meant as one. Whether it is valid makes no difference: the client then has no name.
bool is_ipv6_literal(std::string_view text) {
  return std::ranges::count(text, ':') >= 2 &&
         std::ranges::all_of(text, [](char c) { return is_hex_digit(c) || c == ':' || c == '.'; });
}

// In any form that inet_aton(3) reads: "127.1" and "0x7f000001" too.
bool is_ipv4_literal(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::array<char, limits::server_name_max + 1> terminated{};
  if (text.size() >= terminated.size()) return false;
  std::ranges::copy(text, terminated.begin());
  in_addr address{};
  return inet_aton(terminated.data(), &address) != 0;
}

bool is_number(std::string_view label) {
  if (label.starts_with("0x")) return std::ranges::all_of(label.substr(2), is_hex_digit);
  return std::ranges::all_of(label, is_digit);
}

bool too_long(std::string_view text) {
  if (text.size() > limits::server_name_max) return true;
  std::size_t label = 0;
  return std::ranges::any_of(text, [&](char c) {
    label = c == '.' ? 0 : label + 1;
    return label > label_max;
  });
}

}  // namespace

std::string_view to_string(NameProblem problem) {
  static constexpr std::string_view names[] = {
      "is a name",  "is empty",     "is an address", "ends in a number",
      "has a port", "is not ASCII", "is too long",   "is not a host name"};
  static_assert(std::size(names) == static_cast<std::size_t>(NameProblem::syntax) + 1);
  return names[static_cast<std::size_t>(problem)];
}

NameProblem name_problem(std::string_view text) {
  if (text.empty()) return NameProblem::empty;
  std::array<char, limits::server_name_max> name{};
  if (const auto length = canonical_server_name(text, name)) {
    if (*length != 0) return NameProblem::none;
    return is_ipv6_literal(text) || is_ipv4_literal(text) ? NameProblem::address
                                                          : NameProblem::number;
  }
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (!std::ranges::all_of(text, is_ascii)) return NameProblem::not_ascii;
  if (without_port(text).size() != text.size()) return NameProblem::port;
  if (text.starts_with('[') && text.find(']') != text.npos) return NameProblem::address;
  return too_long(text) ? NameProblem::too_long : NameProblem::syntax;
}

std::string_view without_port(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos || colon == 0) return text;
  const auto port = parse_decimal(text.substr(colon + 1), 0xffff);
  return port.value_or(0) != 0 ? text.substr(0, colon) : text;
}

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
