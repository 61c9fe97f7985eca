// The input is one byte that chooses the size of the steps in which the rest arrives, a request
// head. A second, line-based reader must find the same host.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ascii.h"
#include "fuzz/property.h"
#include "support/flight.h"

using namespace sni;
using namespace sni::test;

namespace {

std::vector<std::string_view> lines_of(std::string_view head) {
  std::vector<std::string_view> lines;
  while (true) {
    const std::size_t end = head.find('\n');
    require(end != head.npos && end > 0 && head[end - 1] == '\r', "every line ends with CRLF");
    lines.push_back(head.substr(0, end - 1));
    if (lines.back().empty()) return lines;
    head.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> hosts_of(const std::vector<std::string_view>& lines) {
  std::vector<std::string_view> hosts;
  for (const auto line : lines) {
    require(!line.starts_with(' ') && !line.starts_with('\t'), "no line is folded");
    if (line.size() >= 5 && equal_ignoring_case(line.substr(0, 5), "host:")) {
      hosts.push_back(line.substr(5));
    }
  }
  return hosts;
}

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += to_lower(c);
  return out;
}

void check_accepted(std::string_view bytes, const FlightCopy& flight) {
  if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);  // RFC 9112 section 2.2.
  const auto lines = lines_of(bytes);
  const auto hosts = hosts_of(lines);
  require(hosts.size() <= 1, "there is one Host at most");
  require(hosts.size() == 1 || lines.front().ends_with("HTTP/1.0"), "HTTP/1.1 has a Host");
  require(flight.alpn_list.empty() && flight.version == 0 && !flight.ech, "HTTP has no TLS");
  require_canonical(flight.name);
  if (flight.name.empty()) return;
  const std::size_t target = lines.front().find(' ') + 1;
  const char form = lines.front()[target];  // Origin-form and asterisk-form name no host.
  const std::string_view source = form == '/' || form == '*' ? hosts.front() : lines.front();
  require(lower(source).contains(flight.name), "the name stands where the grammar says");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = 1 + data[0];
  const std::span rest(data + 1, size - 1);
  const Delivery at_once = deliver(Protocol::http, rest);
  const Delivery in_steps = deliver(Protocol::http, rest, step, step);
  require(at_once.complete == in_steps.complete, "a head ends alike however it arrives");
  require(at_once.result == in_steps.result, "a head is the same however it arrives");
  if (at_once.complete && at_once.result) {
    check_accepted({reinterpret_cast<const char*>(rest.data()), rest.size()}, *at_once.result);
  }
  return 0;
}
