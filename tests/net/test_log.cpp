#include "net/log.h"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/stderr_capture.h"
#include "support/worker_harness.h"

using namespace sni;
using namespace sni::test;

namespace {

// stop_logging() leaves a silent logger, but other tests of this program run code that logs.
struct LogRestored {
  LogRestored() = default;
  LogRestored(const LogRestored&) = delete;
  LogRestored& operator=(const LogRestored&) = delete;
  ~LogRestored() { spdlog::set_default_logger(before); }

  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
};

const LogConfig as_text{.level = LogLevel::info, .format = LogFormat::text};
const LogConfig as_json{.level = LogLevel::info, .format = LogFormat::json};

// The lines that `write` leaves in the log.
template <typename Write>
std::vector<std::string> lines_of(const LogConfig& config, Write&& write) {
  StderrCapture capture;
  start_logging(config);
  write();
  REQUIRE(stop_logging());
  return capture.finish();
}

void log_access(std::string_view line) {
  AccessLines lines;
  lines.add(line);
}

// Its members except the time, which must be present and not empty.
nlohmann::json parse(const std::string& line) {
  auto object = nlohmann::json::parse(line);
  CHECK_FALSE(object.at("time").get<std::string>().empty());
  object.erase("time");
  return object;
}

}  // namespace

TEST_CASE_FIXTURE(LogRestored, "a text line is time, level and message") {
  const auto lines = lines_of(as_text, [] { spdlog::warn("cannot {}", "listen"); });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with(" warning cannot listen"));
  CHECK(lines[0].find('T') == 10);  // 2026-01-31T...
}

TEST_CASE_FIXTURE(LogRestored, "a JSON line is one object with time, level and message") {
  const auto lines = lines_of(as_json, [] { spdlog::error("cannot {}", "listen"); });
  REQUIRE(lines.size() == 1);
  CHECK(parse(lines[0]) == nlohmann::json{{"level", "error"}, {"message", "cannot listen"}});
}

TEST_CASE_FIXTURE(LogRestored,
                  "quotes, line ends and bytes that are no UTF-8 do not break a JSON line") {
  const std::string text = "a \"quoted\"\nline \x1b[31m \xff end";
  const auto lines = lines_of(as_json, [&] { spdlog::info("{}", text); });
  REQUIRE(lines.size() == 1);
  for (const char c : lines[0]) CHECK((c >= 0x20 && c < 0x7f));
  CHECK(parse(lines[0]).at("message") == "a \"quoted\"\nline \x1b[31m \xef\xbf\xbd end");
}

TEST_CASE_FIXTURE(LogRestored, "an access line's members become those of its JSON line") {
  const auto lines = lines_of(as_json, [] { log_access(R"({"client":"192.0.2.1:1","ms":7})"); });
  REQUIRE(lines.size() == 1);
  CHECK(parse(lines[0]) == nlohmann::json{{"level", "info"}, {"client", "192.0.2.1:1"}, {"ms", 7}});
}

TEST_CASE_FIXTURE(LogRestored,
                  "a diagnostic has its place in the message and in JSON by itself too") {
  Diagnostic diagnostic{.file = "a \"b\".toml", .position = {14, 9}, .message = "unknown key"};
  const auto log = [&] { log_diagnostic(diagnostic); };
  auto lines = lines_of(as_json, log);
  REQUIRE(lines.size() == 1);
  CHECK(parse(lines[0]) == nlohmann::json{{"level", "error"},
                                          {"message", "a \"b\".toml:14:9: unknown key"},
                                          {"file", "a \"b\".toml"},
                                          {"line", 14},
                                          {"column", 9}});
  diagnostic.severity = Severity::warning;
  lines = lines_of(as_text, [&] { log_diagnostic(diagnostic, "reload: "); });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with(" warning reload: a \"b\".toml:14:9: unknown key"));
  CHECK(lines_of({.level = LogLevel::error, .format = LogFormat::json}, log).empty());
}

TEST_CASE_FIXTURE(LogRestored,
                  "an access line that was made as text before a reload to JSON stays valid") {
  const auto lines = lines_of(as_json, [] { log_access("client=192.0.2.1:1 ms=7"); });
  REQUIRE(lines.size() == 1);
  CHECK(parse(lines[0]) ==
        nlohmann::json{{"level", "info"}, {"message", "client=192.0.2.1:1 ms=7"}});
}

TEST_CASE_FIXTURE(LogRestored,
                  "lines below the level are left out, access lines count as information") {
  for (const auto& [level, expected] :
       {std::pair(LogLevel::debug, 4U), std::pair(LogLevel::info, 3U),
        std::pair(LogLevel::warning, 1U), std::pair(LogLevel::error, 0U)}) {
    const auto lines = lines_of({.level = level, .format = LogFormat::text}, [now = level] {
      CHECK(access_lines_wanted() == (now <= LogLevel::info));
      spdlog::debug("debug");
      spdlog::info("info");
      log_access("access");
      spdlog::warn("warning");
    });
    CHECK(lines.size() == expected);
  }
}

TEST_CASE_FIXTURE(LogRestored, "a reload changes level and format from the next line on") {
  StderrCapture capture;
  start_logging({.level = LogLevel::error, .format = LogFormat::text});
  spdlog::info("not yet");
  spdlog::error("text");
  CHECK(log_format() == LogFormat::text);
  // The line is on its way to the sink, where the format is applied.
  REQUIRE(eventually([&] { return capture.text().find("text\n") != std::string::npos; }));
  configure_logging(as_json);
  CHECK(log_format() == LogFormat::json);
  spdlog::info("json");
  REQUIRE(stop_logging());
  const auto lines = capture.finish();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].ends_with(" error text"));
  CHECK(parse(lines[1]) == nlohmann::json{{"level", "info"}, {"message", "json"}});
}

TEST_CASE_FIXTURE(LogRestored, "what is logged after the end goes nowhere, and does no harm") {
  const auto lines = lines_of(as_text, [] { spdlog::warn("in time"); });
  StderrCapture capture;
  spdlog::warn("too late");
  log_access("too late");
  CHECK(lines.size() == 1);
  CHECK(capture.finish().empty());
}

TEST_CASE_FIXTURE(LogRestored, "without a log there are no access lines, and nothing to stop") {
  CHECK_FALSE(access_lines_wanted());
  log_access("nobody reads this");
  report_dropped_lines();
  CHECK(stop_logging());
}

TEST_CASE_FIXTURE(LogRestored, "access lines leave by the turn, in their order") {
  StderrCapture capture;
  start_logging(as_text);
  AccessLines turn;
  for (int i = 0; i < 10; ++i) turn.add("line " + std::to_string(i));
  spdlog::info("while they wait");
  turn.hand_over();
  turn.hand_over();
  REQUIRE(stop_logging());
  const auto lines = capture.finish();
  REQUIRE(lines.size() == 11);
  CHECK(lines[0].ends_with(" while they wait"));
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(lines[i + 1].ends_with(" info line " + std::to_string(i)));
  }
}

TEST_CASE_FIXTURE(LogRestored, "a turn of very many lines hands over before its end") {
  StderrCapture capture;
  start_logging(as_text);
  AccessLines turn;
  for (int i = 0; i < 10'000; ++i) turn.add("one of many lines");
  CHECK(eventually([&] { return capture.text().contains("one of many lines"); }));
  turn.hand_over();
  REQUIRE(stop_logging());
  CHECK(capture.finish().size() == 10'000);
}

TEST_CASE_FIXTURE(LogRestored, "lines of a batch that is dropped are counted one by one") {
  constexpr std::size_t written = 100'000;
  StderrCapture capture(StderrCapture::Reader::stuck);
  start_logging(as_text);
  {
    AccessLines turn;
    for (std::size_t i = 0; i < written; ++i) {
      turn.add(
          "an access line of usual length, which has some 150 bytes: names, an address, numbers");
      if (i % 100 == 0) turn.hand_over();
    }
    turn.add("the last one");
  }
  capture.read_on();
  REQUIRE(eventually([&] { return capture.text().contains("the last one"); }));
  REQUIRE(stop_logging());
  std::size_t got = 0;
  std::string told;
  for (const std::string& line : capture.finish()) {
    line.contains("dropped") ? void(told = line) : void(++got);
  }
  REQUIRE(got < written);
  CHECK(told.contains(" " + std::to_string(written + 1 - got) + " log lines were dropped"));
}

TEST_CASE_FIXTURE(
    LogRestored,
    "a log that nobody reads holds nobody up, and tells later how many lines it lost") {
  constexpr std::size_t written = 200'000;
  for (int start = 0; start < 2; ++start) {
    StderrCapture capture(StderrCapture::Reader::stuck);
    start_logging(as_text);
    for (std::size_t i = 0; i + 1 < written; ++i) spdlog::info("line");
    spdlog::info("last");
    configure_logging(as_text);
    capture.read_on();
    REQUIRE(eventually([&] { return capture.text().find("last\n") != std::string::npos; }));
    report_dropped_lines();
    report_dropped_lines();
    REQUIRE(stop_logging());
    const auto lines = capture.finish();
    REQUIRE(lines.size() < written);
    const std::string lost = std::to_string(written - (lines.size() - 1));
    CHECK(lines.back().find(" warning " + lost + " log lines were dropped") != std::string::npos);
  }
}
