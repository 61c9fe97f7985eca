#include "bpf/libbpf_lines.h"

#include <bpf/libbpf.h>
#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sni;

namespace {

std::vector<std::string> lines;

// Causes a warning of libbpf.
void open_what_is_not_there() {
  CHECK(bpf_object__open_file("/nowhere/program.o", nullptr) == nullptr);
}

}  // namespace

TEST_CASE("libbpf's warnings go only to the receiver") {
  catch_libbpf_lines();
  tell_libbpf_lines([](std::string_view line) { lines.emplace_back(line); });
  open_what_is_not_there();
  tell_libbpf_lines(nullptr);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("libbpf: "));
  CHECK(lines[0].find("/nowhere/program.o") != std::string::npos);
  CHECK(lines[0].find('\n') == std::string::npos);
  open_what_is_not_there();
  CHECK(lines.size() == 1);
}
