// The page of html_page.py, checked as text and in a real browser: headless Chromium opens a copy
// with one added script, which measures the layout and writes the results into the page's title.

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/html_page.h"
#include "bench/process.h"
#include "bench/report_builder.h"
#include "support/skip.h"

using namespace sni::bench;
using namespace sni::test;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

const std::string script = SNI_SOURCE_DIR "/bench/html_page.py";

std::string page_of(const Report& report) {
  std::string file = std::filesystem::temp_directory_path() / "sni-bench-page-XXXXXX";
  const int descriptor = ::mkstemp(file.data());
  REQUIRE(descriptor >= 0);
  ::close(descriptor);
  const auto written = write_html_page(script, json_report(report), file);
  std::ifstream stream(file);
  std::string page(std::istreambuf_iterator<char>(stream), {});
  std::filesystem::remove(file);
  REQUIRE_MESSAGE(written.has_value(), (written ? "" : written.error().what));
  return page;
}

bool cannot_draw() {
  const auto can = check_page_script(script);
  if (!can) skip(can.error().what);
  return !can;
}

// Reports, as JSON in the title: plots and their visible marks, texts that overflow their plot,
// whether the page is wider than the window, loaded resources, and script errors.
constexpr const char* probe = R"js(<script>
const plots = [...document.querySelectorAll('svg')];
const outside = [];
for (const plot of plots) {
  const box = plot.getBoundingClientRect();
  for (const text of plot.querySelectorAll('g[id^="text"]')) {
    const at = text.getBoundingClientRect();
    if (at.left < box.left - 1 || at.right > box.right + 1 || at.top < box.top - 1 ||
        at.bottom > box.bottom + 1) outside.push(plot.getAttribute('aria-label'));
  }
}
const visible = (selector) => [...document.querySelectorAll(selector)]
    .filter((mark) => mark.getBoundingClientRect().width > 1).length;
document.title = JSON.stringify({
  plots: plots.length, heights: plots.every((plot) => plot.getBoundingClientRect().height > 50),
  bars: visible('g[id^="bar:"]'), curves: visible('g[id^="curve:"]'), outside,
  wide: document.documentElement.scrollWidth > innerWidth,
  loaded: performance.getEntriesByType('resource').length,
  fill: getComputedStyle(document.querySelector('g[id="bar:down-1.gbit_s:userspace"] path')).fill,
});
</script>)js";

// What the probe found in a window of this size.
nlohmann::json open_in_browser(const std::string& browser, std::string page, const char* size) {
  std::string directory = std::filesystem::temp_directory_path() / "sni-bench-page-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const std::string file = directory + "/report.html";
  page.insert(page.find("</body>"), probe);
  std::ofstream(file) << page;
  // --no-sandbox: it refuses to run as root otherwise, and the page is our own.
  const auto dumped =
      run_tool({browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--user-data-dir=" + directory + "/data", std::string("--window-size=") + size,
                "--dump-dom", "file://" + file});
  std::filesystem::remove_all(directory);
  REQUIRE_MESSAGE(dumped.has_value(), (dumped ? "" : dumped.error().what));
  const std::size_t begin = dumped->find("<title>{");
  REQUIRE(begin != std::string::npos);
  const std::size_t at = begin + std::string("<title>").size();
  return nlohmann::json::parse(dumped->substr(at, dumped->find("</title>", at) - at));
}

}  // namespace

TEST_CASE("the page is self-contained: no script, nothing to load") {
  if (cannot_draw()) return;
  const std::string page = page_of(full_report().get());
  for (const char* word : {"<script", "src=", "@import", "http:", "https:"}) {
    CHECK_MESSAGE(page.find(word) == std::string::npos, word);
  }
  // Plots refer to shapes of their own.
  CHECK(count(page, "href=") == count(page, "href=\"#"));
  CHECK(count(page, "url(") == count(page, "url(#"));
}

TEST_CASE("the page has every plot, and names of programs are escaped") {
  if (cannot_draw()) return;
  const std::string page = page_of(full_report().get());
  // Ten bar plots; curves of three columns in two groups.
  CHECK(count(page, "<svg") == 16);
  CHECK(page.find("A CPU &lt;of&gt; &quot;note&quot; &amp; more") != std::string::npos);
  CHECK(page.find("A CPU <of>") == std::string::npos);
}

TEST_CASE("the page shows why a row is invalid") {
  if (cannot_draw()) return;
  auto builder = full_report();
  builder.fault("haproxy-tuned", "down-1", 2, "bytes <were> lost");
  const std::string page = page_of(builder.get());
  CHECK(page.find("haproxy-tuned: down-1: bytes &lt;were&gt; lost") != std::string::npos);
}

TEST_CASE("a report of one column has one page that still opens") {
  if (cannot_draw()) return;
  ReportBuilder builder;
  builder.row("userspace", RowKind::plane).values("userspace", "down-1", "gbit_s", {10, 11});
  CHECK(count(page_of(builder.get()), "<svg") == 1);
}

TEST_CASE("a browser draws every plot, with all text inside, on a desktop and on a telephone") {
  if (cannot_draw()) return;
  std::string browser;
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
    if (browser.empty()) browser = find_program(name);
  }
  if (browser.empty()) return skip("no Chromium is installed");
  const std::string page = page_of(full_report().get());
  for (const char* size : {"1280,900", "500,900"}) {
    CAPTURE(size);
    const auto seen = open_in_browser(browser, page, size);
    CHECK(seen["plots"] == 16);
    CHECK(seen["heights"] == true);
    CHECK(seen["bars"] == 10 * 6);
    CHECK(seen["curves"] == 3 * 6);
    CHECK(seen["outside"] == nlohmann::json::array());
    CHECK(seen["wide"] == false);
    CHECK(seen["loaded"] == 0);
    CHECK(seen["fill"] == "rgb(0, 114, 178)");
  }
}
