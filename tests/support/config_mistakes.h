#pragma once

// Reads configurations for tests, with mistakes as the lines that an operator sees.

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/config/config_file.h"

namespace sni {

using Messages = std::vector<std::string>;

inline Messages mistakes(std::string_view text) {
  const ConfigResult result = read_config(text, "c.toml");
  Messages messages;
  bool errors = false;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    messages.push_back(diagnostic.to_string());
    errors |= diagnostic.severity == Severity::error;
  }
  CHECK(result.config.has_value() == !errors);
  return messages;
}

inline Config read_valid(std::string_view text) {
  const ConfigResult result = read_config(text, "c.toml");
  for (const Diagnostic& diagnostic : result.diagnostics) MESSAGE(diagnostic.to_string());
  REQUIRE(result.config.has_value());
  return *result.config;
}

struct Mistake {
  std::string_view text;
  Messages messages;
};

// A listener on line 1 and a route on line 2, so that a test's own text starts on line 3.
constexpr std::string_view config_base =
    "listener = [{ name = 'https', address = '0.0.0.0:443' }]\n"
    "route = [{ names = ['example.com'], backend = '10.0.0.5:8443' }]\n";

// Each text follows a valid listener and a valid route.
inline void check_after_base(const std::vector<Mistake>& table) {
  for (const Mistake& row : table) {
    CAPTURE(row.text);
    CHECK(mistakes(std::string(config_base).append(row.text)) == row.messages);
  }
}

// Each text follows the [[route]] on line 3, after a tls listener "https" and an http listener
// "web".
inline void check_routes(const std::vector<Mistake>& table) {
  for (const Mistake& row : table) {
    const std::string text =
        "listener = [{ name = 'https', address = '0.0.0.0:443' },\n"
        "  { name = 'web', address = '0.0.0.0:80', protocol = 'http' }]\n"
        "[[route]]\n" +
        std::string(row.text);
    CAPTURE(text);
    CHECK(mistakes(text) == row.messages);
  }
}

}  // namespace sni

template <>
struct doctest::StringMaker<sni::Messages> {
  static String convert(const sni::Messages& messages) {
    std::string text;
    for (const std::string& message : messages) text += "\n  " + message;
    return text.c_str();
  }
};
