#include "bpf/libbpf_print.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace sni {

namespace {

std::atomic<LibbpfLine> wanted{nullptr};

int print(libbpf_print_level level, const char* format, va_list arguments) {
  const LibbpfLine line = wanted.load(std::memory_order_relaxed);
  if (line == nullptr || level == LIBBPF_DEBUG) return 0;
  std::array<char, 1024> text;
  const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
  if (length <= 0) return 0;
  std::string_view said(text.data(), std::min(static_cast<std::size_t>(length), text.size() - 1));
  while (said.ends_with('\n')) said.remove_suffix(1);
  if (!said.empty()) line(said);
  return length;
}

}  // namespace

void print_libbpf_to(LibbpfLine line) {
  wanted.store(line, std::memory_order_relaxed);
  libbpf_set_print(print);
}

void keep_libbpf_quiet() {
  libbpf_set_print(print);
}

}  // namespace sni
