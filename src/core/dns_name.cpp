#include "core/dns_name.h"

#include <algorithm>

namespace sni {
namespace {

constexpr std::size_t label_max = 63;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}

bool is_label_byte(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= label_max && label.front() != '-' &&
         label.back() != '-' && std::ranges::all_of(label, is_label_byte);
}

bool is_number(std::string_view label) {
  if (std::ranges::all_of(label, is_digit)) return true;
  return label.starts_with("0x") && std::ranges::all_of(label.substr(2), is_hex_digit);
}

}  // namespace

std::optional<DnsName> parse_dns_name(std::string_view text) {
  const bool absolute = text.ends_with('.');
  if (absolute) text.remove_suffix(1);
  if (text.empty() || text.size() > limits::server_name_max) return std::nullopt;
  DnsName name;
  name.length = static_cast<std::uint8_t>(text.size());
  std::ranges::transform(text, name.bytes.begin(), lower);
  if (absolute) name.make_absolute();

  std::string_view rest = name.view();
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (!is_label(label)) return std::nullopt;
    if (dot == std::string_view::npos) return is_number(label) ? std::nullopt : std::optional(name);
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace sni
