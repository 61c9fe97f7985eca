// Diagnostics: their form, their order, their bound, and what they suggest.

#include "core/config/diagnostic.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>

#include "core/limits.h"

using namespace sni;

TEST_CASE("a diagnostic reads file, line, column, message") {
  const Diagnostic error{.file = "config.toml", .position = {14, 9}, .message = "no"};
  CHECK(error.to_string() == "config.toml:14:9: no");
  Diagnostic warning = error;
  warning.severity = Severity::warning;
  CHECK(warning.to_string() == "config.toml:14:9: warning: no");
  CHECK(warning.located() == "config.toml:14:9: no");
}

TEST_CASE("diagnostics are sorted by position, then by text") {
  DiagnosticList list("f");
  CHECK_FALSE(list.has_errors());
  list.warning({3, 1}, "d");
  CHECK_FALSE(list.has_errors());
  list.error({1, 9}, "b");
  list.error({1, 2}, "a");
  list.error({3, 1}, "c");
  CHECK(list.has_errors());
  std::string messages;
  for (const Diagnostic& diagnostic : list.take()) messages += diagnostic.message;
  CHECK(messages == "abcd");
  CHECK(list.take().empty());
}

TEST_CASE("more diagnostics than the bound are counted, and still are errors") {
  DiagnosticList list("f");
  for (std::size_t i = 0; i < limits::diagnostics_max; ++i) list.warning({}, "w");
  list.error({}, "e");
  list.error({}, "e");
  CHECK(list.has_errors());
  const auto taken = list.take();
  REQUIRE(taken.size() == limits::diagnostics_max + 1);
  CHECK(taken.back().message == "2 more are not shown");
  CHECK(taken.back().severity == Severity::error);
  for (std::size_t i = 0; i <= limits::diagnostics_max; ++i) list.warning({}, "w");
  CHECK(list.take().back().message == "1 more is not shown");
}

TEST_CASE("quoted input is bounded and harmless to a terminal") {
  CHECK(sni::in_quotes("a b") == "'a b'");
  CHECK(sni::in_quotes("\x1b[31m\n\x7f\xc2\x9b") == "'\\x1b[31m\\x0a\\x7f\\xc2\\x9b'");
  CHECK(sni::in_quotes(std::string(80, 'a')) == "'" + std::string(80, 'a') + "'");
  CHECK(sni::in_quotes(std::string(81, 'a')) == "'" + std::string(80, 'a') + "...'");
}

TEST_CASE("a suggestion is the nearest candidate within a third of the letters") {
  static constexpr std::array<std::string_view, 4> keys{"listener", "route", "timeouts", "mode"};
  CHECK(did_you_mean("listenre", keys) == "; did you mean 'listener'?");
  CHECK(did_you_mean("listners", keys) == "; did you mean 'listener'?");
  CHECK(did_you_mean("timeout", keys) == "; did you mean 'timeouts'?");
  CHECK(did_you_mean("mod", keys) == "; did you mean 'mode'?");
  CHECK(did_you_mean("TIMEOUTS", keys) == "; did you mean 'timeouts'?");
  CHECK(did_you_mean("lis", keys) == "; did you mean 'listener'?");
  CHECK(did_you_mean("Route", keys) == "; did you mean 'route'?");
  CHECK(did_you_mean("server", keys).empty());
  CHECK(did_you_mean("", keys).empty());
  CHECK(did_you_mean(std::string(1'000, 'a'), keys).empty());
  CHECK(did_you_mean("x", {}).empty());
}
