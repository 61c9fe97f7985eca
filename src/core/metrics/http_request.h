#pragma once

// Requests of scrapers and health checks: GET or HEAD of a path over HTTP/1.x (RFC 9112), parsed
// from untrusted bytes. Requests have no body; one with a body gets an answer and a close.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sni {

// Bytes of a request head; those of Prometheus have 300.
inline constexpr std::size_t http_request_max = 8 * 1024;

struct HttpRequest {
  enum class Fault { none, malformed, method, version };
  Fault fault = Fault::none;
  bool head = false;        // HEAD: the answer has no body.
  bool keep_alive = false;  // The connection may take another one.
  std::string_view path;    // Without the query; a view into the bytes.
  std::size_t length = 0;   // Bytes of the head, including its empty line.
};

// nullopt: the head is not complete.
std::optional<HttpRequest> parse_http_request(std::string_view bytes);

// `status` as in "200 OK".
std::string http_answer(std::string_view status, std::string_view type, std::string_view body,
                        bool head, bool keep_alive);

}  // namespace sni
