#include "bpf/libbpf_lines.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>

#include "core/text_lines.h"

namespace sni {
namespace {

// The verifier's log has many lines, of which libbpf gives the last ones.
constexpr std::size_t bytes_max = 4096;

std::atomic<LibbpfLine> line_listener = nullptr;

int on_print(libbpf_print_level level, const char* format, va_list arguments) {
  const LibbpfLine line = line_listener.load(std::memory_order_relaxed);
  if (line == nullptr || level > LIBBPF_WARN) return 0;
  std::array<char, bytes_max> bytes;
  const int length = std::vsnprintf(bytes.data(), bytes.size(), format, arguments);
  if (length <= 0) return 0;
  std::string_view text(bytes.data(),
                        std::min<std::size_t>(static_cast<std::size_t>(length), bytes.size() - 1));
  while (!text.empty()) {
    const std::string_view each = take_line(text);
    if (!each.empty()) line(each);
  }
  return 0;
}

}  // namespace

void tell_libbpf_lines(LibbpfLine line) {
  line_listener.store(line, std::memory_order_relaxed);
}

void catch_libbpf_lines() {
  libbpf_set_print(on_print);
}

}  // namespace sni
