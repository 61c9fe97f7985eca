// Server names of other proxies, as names of a route.

#include "core/import/name_patterns.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace sni;

namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

struct Row {
  std::string_view text;
  std::string_view names;
};

}  // namespace

TEST_CASE("expressions for names become names of a route") {
  for (const Row& row :
       std::vector<Row>{{"^example\\.com$", "example.com"},
                        {"^Example.com$", "example.com"},
                        {"example\\.com", "example.com *.example.com"},
                        {"^a-b_c\\.example\\.com\\.?$", "a-b_c.example.com"},
                        {".*\\.example\\.com$", "*.example.com"},
                        {"^.*\\.example\\.com$", "*.example.com"},
                        {"^.+?\\.example\\.com$", "*.example.com"},
                        {"^[^.]+\\.example\\.com$", "*.example.com"},
                        {"\\.example\\.com$", "*.example.com"},
                        {".*example\\.com", "example.com *.example.com"},
                        {".*\\.com", "*.com"},
                        {".*", "*"},
                        {"^.*$", "*"},
                        {"", "*"},
                        {"(?i)^a\\.example$", "a.example"},
                        {"^(www\\.)?example\\.com$", "example.com www.example.com"},
                        {"^(www|mail)\\.example\\.com$", "www.example.com mail.example.com"},
                        {"^(?:a|b)\\.(c|d)$", "a.c a.d b.c b.d"},
                        {"(^|\\.)example\\.com$", "example.com *.example.com"},
                        {"^a\\.example$|^b\\.example$", "a.example b.example"},
                        {"^(.*\\.)?example\\.com$", "example.com *.example.com"}}) {
    CAPTURE(row.text);
    CHECK(joined(names_of_regex(row.text)) == row.names);
  }
}

TEST_CASE("expressions that are not lists of names stay expressions, for the whole name") {
  for (const Row& row : std::vector<Row>{{"^a[0-9]\\.example$", "/^a[0-9]\\.example$/"},
                                         {"(?i)^ab*\\.example$", "/^ab*\\.example$/"},
                                         {"colou?r", "/.*colou?r.*/"},
                                         {"colou?r\\$", "/.*colou?r\\$.*/"},
                                         {"^a{2}\\.b$|^c+$", "/.*(?:^a{2}\\.b$|^c+$).*/"},
                                         {"(a)+\\.b$", "/.*(a)+\\.b$/"}}) {
    CAPTURE(row.text);
    CHECK(joined(names_of_regex(row.text)) == row.names);
  }
}

TEST_CASE("expressions that RE2 does not accept are dropped") {
  for (const std::string_view text : {"a(b", "a)b", "\\", "^(?!a)\\.b$", "[", "(?", "é.x"}) {
    CAPTURE(text);
    CHECK(joined(names_of_regex(text)).empty());
  }
}

TEST_CASE("an expression for too many names stays one, and takes no time") {
  std::string all;
  for (int i = 0; i < 30; ++i) all += "(a|b|)";
  CHECK(joined(names_of_regex(all)) == "/.*" + all + ".*/");
  CHECK(names_of_regex(std::string(2000, 'a')).empty());
  CHECK(names_of_regex(std::string(1000, '(')).empty());
}

TEST_CASE("suffixes and hosts become names of a route") {
  CHECK(joined(names_of_suffix(".example.com")) == "*.example.com");
  CHECK(joined(names_of_suffix("example.com")) == "example.com *.example.com");
  CHECK(joined(names_of_host("*.Example.com")) == "*.example.com");
  CHECK(joined(names_of_host(".example.com")) == "example.com *.example.com");
  CHECK(joined(names_of_host("*")) == "*");
  for (const std::string_view text : {"", "-", "a b", "*.*.x", "www.example.*", "192.0.2.1"}) {
    CAPTURE(text);
    CHECK(joined(names_of_host(text)).empty());
  }
}
