// Words and braces as a tree.

#include "core/import/brace_document.h"

#include <doctest/doctest.h>

#include <string>

#include "core/import/import.h"

using namespace sni;

namespace {

// "a 'b c' { d; }" with the line of each directive before it.
std::string shown(const std::vector<Directive>& all) {
  std::string text;
  for (const Directive& each : all) {
    text += std::to_string(each.line) + ':';
    for (const std::string& word : each.words) text += ' ' + word;
    if (each.has_block) text += " { " + shown(each.block) + "}";
    text += "; ";
  }
  return text;
}

std::string read(std::string_view text, BraceStyle style) {
  const auto document = parse_braces(text, style);
  return document ? shown(*document) : document.error().what;
}

}  // namespace

TEST_CASE("directives of lines end with them, and backslashes make plain characters") {
  CHECK(read("user daemon # who\n\nlistener 443 {\n  table \"a b\"\n  x\\.y \\{\n}\n",
             BraceStyle::lines) == "1: user daemon; 3: listener 443 { 4: table a b; 5: x.y {; }; ");
  CHECK(read("table\n{\n  .*\\\\.com 1.2.3.4; b c }", BraceStyle::lines) ==
        "1: table { 3: .*\\.com 1.2.3.4; 3: b c; }; ");
}

TEST_CASE("directives of semicolons go over lines, and backslashes stay") {
  CHECK(read("map $a\n  $b { '' c; \"d ;\" e; ~^x\\.y$ ${z}:1; }\n# end\n",
             BraceStyle::semicolons) == "1: map $a $b { 2:  c; 2: d ; e; 2: ~^x\\.y$ ${z}:1; }; ");
}

TEST_CASE("braces that do not pair are mistakes with their line") {
  CHECK(read("a {\nb;\n", BraceStyle::semicolons) == "line 3: the file ends within a block");
  CHECK(read("a;\n}", BraceStyle::semicolons) == "line 2: '}' without a '{'");
  CHECK(read("{", BraceStyle::semicolons) == "line 1: '{' without a word before it");
  CHECK(read("\n{", BraceStyle::lines) == "line 2: '{' without a word before it");
}

TEST_CASE("blocks nest up to a bound") {
  const auto nested = [](std::size_t depth) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += "a {";
    return text + std::string(depth, '}');
  };
  CHECK(parse_braces(nested(limits::import_depth_max), BraceStyle::semicolons));
  CHECK(read(nested(limits::import_depth_max + 1), BraceStyle::lines) ==
        "line 1: blocks nest too deep");
  CHECK_FALSE(parse_braces(nested(1'000'000), BraceStyle::lines));
}
