#include "core/top/top.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace sni;

namespace {

TopSample sample(std::uint64_t at_s) {
  return {.at_ms = 1'000'000 + at_s * 1000,
          .version = "0.2.0",
          .state = "serving",
          .uptime_s = 60 + at_s,
          .living = 2,
          .accepted = 10 * at_s,
          .up = 2048 * at_s,
          .down = 1024 * 1024 * at_s};
}

TopSample with_connections(std::uint64_t at_s) {
  TopSample some = sample(at_s);
  some.connections = {{.id = "0-1",
                       .client = "192.0.2.1:1000",
                       .name = "slow.example",
                       .backend = "10.0.0.1:443",
                       .plane = "packet",
                       .up = 5,
                       .down = 6,
                       .rate = 10,
                       .age_ms = 90'000},
                      {.id = "1-7",
                       .client = "192.0.2.2:1000",
                       .name = "fast.example",
                       .backend = "10.0.0.2:443",
                       .plane = "userspace",
                       .up = 1,
                       .down = 2,
                       .rate = 3'000'000,
                       .age_ms = 1'000}};
  return some;
}

TopSample with_names(std::uint64_t at_s, std::uint64_t a, std::uint64_t b) {
  TopSample some = sample(at_s);
  some.view = TopView::names;
  some.traffic = {{.key = "a.example", .connections = 1, .up = a, .down = 0},
                  {.key = "b.example", .connections = 9, .up = b, .down = 0}};
  return some;
}

std::string screen(Top& top, std::size_t width = 80, std::size_t height = 24) {
  std::string text;
  for (const TopLine& line : top.draw(width, height, false)) text += line.text + '\n';
  return text;
}

std::string selected(Top& top) {
  const auto lines = top.draw(80, 24, false);
  const auto found = std::ranges::find(lines, TopStyle::selected, &TopLine::style);
  return found == lines.end() ? std::string() : found->text;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

void type(Top& top, std::string_view keys) {
  for (const char key : keys) top.key(key);
}

}  // namespace

TEST_CASE("a screen of any size is filled exactly, and nothing is written beyond it") {
  Top top;
  top.take(with_connections(1));
  top.take(with_connections(2));
  for (const std::size_t width : {1, 7, 24, 25, 40, 80, 132, 300}) {
    for (const std::size_t height : {0, 1, 2, 5, 6, 7, 24, 50}) {
      for (const char key : {'h', 'x'}) {  // The help, and back.
        CAPTURE(width);
        CAPTURE(height);
        top.key(key);
        const auto lines = top.draw(width, height, false);
        CHECK(lines.size() == height);
        for (const TopLine& line : lines) CHECK(line.text.size() == width);
      }
    }
  }
}

TEST_CASE("80 columns have who, what and how fast; wide screens have the rest") {
  Top top;
  top.take(with_connections(1));
  const std::string narrow = screen(top);
  for (const char* part : {"sni-proxy 0.2.0, serving, up 61s, 2 connections", "[1 connections]",
                           "192.0.2.2:1000", "fast.example", "2.86M"}) {
    CAPTURE(part);
    CHECK(has(narrow, part));
  }
  CHECK(has(screen(top, 132), "10.0.0.2:443"));
  CHECK(has(screen(top, 132), "userspace"));
  CHECK(has(screen(top, 40), "fast.example"));
}

TEST_CASE("totals are shown per second with their history") {
  Top top;
  for (std::uint64_t second = 1; second < 5; ++second) top.take(with_connections(second));
  const std::string text = screen(top);
  CHECK(has(text, "new/s       10 "));
  CHECK(has(text, "up/s        2.00K "));
  CHECK(has(text, "down/s      1.00M "));
  CHECK(has(text, "###\n"));
}

TEST_CASE("a restarted proxy has no rate below zero") {
  Top top;
  top.take(sample(100));
  top.take(sample(101));
  TopSample fresh = sample(102);
  fresh.uptime_s = 0;
  fresh.accepted = 0;
  fresh.up = fresh.down = 0;
  top.take(fresh);
  CHECK(has(screen(top), "new/s       10 "));  // As before: it takes two new samples.
}

TEST_CASE("the fastest stand first, and other orders are a key away") {
  Top top;
  top.take(with_connections(1));
  CHECK(screen(top).find("fast.example") < screen(top).find("slow.example"));
  type(top, "s");  // Sorted by bytes sent.
  CHECK(screen(top).find("fast.example") > screen(top).find("slow.example"));
  CHECK(has(screen(top), "by up"));
  type(top, "r");
  CHECK(screen(top).find("fast.example") < screen(top).find("slow.example"));
}

TEST_CASE("rates of names come from two samples, whatever is typed between them") {
  Top top;
  type(top, "2");
  CHECK(top.view() == TopView::names);
  top.take(with_names(1, 0, 1'000'000));
  top.take(with_names(3, 8192, 1'000'000));
  type(top, "rrss");
  type(top, "ss");
  const std::string text = screen(top);
  CHECK(has(text, "4.00K"));
  CHECK(text.find("a.example") < text.find("b.example"));
}

TEST_CASE("a sample of the view that was left is not shown under another one's title") {
  Top top;
  type(top, "3");
  top.take(with_names(1, 1, 1));
  CHECK_FALSE(has(screen(top), "a.example"));
}

TEST_CASE("the selection stays with its row when the order changes") {
  Top top;
  top.take(with_connections(1));
  top.key(TopKey::down);
  CHECK(has(selected(top), "slow.example"));
  TopSample turned = with_connections(2);
  turned.connections[0].rate = 9'000'000;
  top.take(turned);
  CHECK(has(selected(top), "slow.example"));
  top.key(TopKey::home);
  top.key(TopKey::up);
  CHECK(has(selected(top), "slow.example"));
}

TEST_CASE("a long list scrolls with the selection") {
  Top top;
  TopSample many = sample(1);
  for (int i = 0; i < 100; ++i) {
    many.connections.push_back({.id = "0-" + std::to_string(i),
                                .client = "192.0.2.1:1",
                                .name = "n" + std::to_string(i) + ".example",
                                .rate = static_cast<std::uint64_t>(1000 - i)});
  }
  top.take(many);
  CHECK(has(screen(top), "n0.example"));
  top.key(TopKey::end);
  CHECK(has(selected(top), "n99.example"));
  CHECK_FALSE(has(screen(top), "n0.example"));
  for (int i = 0; i < 3; ++i) top.key(TopKey::page_up);
  CHECK(has(selected(top), "n48.example"));
  top.take(with_connections(2));  // Most have ended.
  CHECK(has(screen(top), "fast.example"));
  CHECK_FALSE(selected(top).empty());
}

TEST_CASE("a filter keeps the rows with its text, regardless of case") {
  Top top;
  top.take(with_connections(1));
  type(top, "/SLOW");
  CHECK(has(screen(top), "only rows with: SLOW_"));
  CHECK_FALSE(has(screen(top), "fast.example"));
  top.key(TopKey::enter);
  CHECK(has(screen(top), "with 'SLOW'"));
  type(top, "/x");
  top.key(TopKey::backspace);
  CHECK(has(screen(top), "slow.example"));
  top.key(TopKey::escape);
  CHECK(has(screen(top), "fast.example"));
}

TEST_CASE("a kill names what it ends, and only y confirms it") {
  Top top;
  top.take(with_connections(1));
  type(top, "k");
  CHECK(has(screen(top), "kill connection 1-7? y/n"));
  type(top, "n");
  CHECK_FALSE(top.take_kill());
  type(top, "k");
  top.key(TopKey::escape);
  type(top, "y");
  CHECK_FALSE(top.take_kill());
  type(top, "ky");
  const auto kill = top.take_kill();
  REQUIRE(kill);
  CHECK(kill->member == "id");
  CHECK(kill->value == "1-7");
  CHECK_FALSE(top.take_kill());
  top.tell("killed 1");
  CHECK(has(screen(top), "killed 1"));
}

TEST_CASE("all connections of a name can be killed, those of a route and of nothing cannot") {
  Top top;
  type(top, "k");
  CHECK(has(screen(top), "there is nothing to kill"));
  type(top, "2");
  top.take(with_names(1, 5, 4));
  type(top, "k");
  CHECK(has(screen(top), "kill all connections of name a.example? y/n"));
  type(top, "n5");
  TopSample routes = with_names(2, 5, 4);
  routes.view = TopView::routes;
  top.take(routes);
  type(top, "k");
  CHECK(has(screen(top), "routes cannot be killed"));
}

TEST_CASE("q ends, but not while something is typed") {
  Top top;
  type(top, "/q");
  CHECK_FALSE(top.wants_end());
  top.key(TopKey::escape);
  type(top, "q");
  CHECK(top.wants_end());
}
