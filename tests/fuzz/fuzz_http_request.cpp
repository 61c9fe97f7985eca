// The input is one byte that chooses the size of the steps in which the rest arrives, what a client
// of metrics.listen sends. A request is the same however it arrives, and has only its own bytes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/metrics/http_request.h"
#include "fuzz/property.h"

using namespace sni;
using sni::test::require;

namespace {

bool same(const HttpRequest& a, const HttpRequest& b) {
  return a.fault == b.fault && a.head == b.head && a.keep_alive == b.keep_alive &&
         a.path == b.path && a.length == b.length;
}

// As in the server, which parses again after each step.
std::optional<HttpRequest> in_steps(std::string_view bytes, std::size_t step) {
  for (std::size_t have = step; have < bytes.size(); have += step) {
    if (const auto request = parse_http_request(bytes.substr(0, have))) return request;
  }
  return parse_http_request(bytes);
}

void check(const HttpRequest& request, std::string_view bytes) {
  require(request.length > 0 && request.length <= bytes.size(), "a head is among the bytes");
  const std::string_view head = bytes.substr(0, request.length);
  require(head.ends_with("\n\n") || head.ends_with("\n\r\n"), "an empty line ends a head");
  const auto alone = parse_http_request(head);
  require(alone && same(*alone, request), "what follows a head does not change it");
  require(!parse_http_request(head.substr(0, head.size() - 1)), "a part of a head is none");
  require(head.substr(0, head.find('\n')).contains(request.path), "a path is in the first line");
  if (request.fault == HttpRequest::Fault::none) {
    require(request.path.starts_with('/') && !request.path.contains('?'), "a path has no query");
  } else {
    require(!request.keep_alive, "a connection ends with a bad request");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = 1 + data[0];
  std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  bytes = bytes.substr(0, http_request_max);
  for (;;) {  // Requests can follow one another.
    const auto at_once = parse_http_request(bytes);
    const auto stepped = in_steps(bytes, step);
    require(at_once.has_value() == stepped.has_value(), "a head ends alike however it arrives");
    if (!at_once) return 0;
    require(same(*at_once, *stepped), "a request is the same however it arrives");
    check(*at_once, bytes);
    bytes.remove_prefix(at_once->length);
  }
}
