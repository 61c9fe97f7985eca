#include "core/guard/block_file.h"

#include <cstdint>

#include "core/limits.h"
#include "core/text_lines.h"

namespace sni {
namespace {

// The column of the first word: the position of a mistake is that of its entry.
std::uint32_t first_column(std::string_view line) {
  std::string_view rest = line;
  const std::string_view word = take_word(rest);
  return static_cast<std::uint32_t>(word.data() - line.data()) + 1;
}

}  // namespace

BlockFile parse_block_file(std::string_view text, std::string_view file_name) {
  DiagnosticList mistakes(file_name);
  BlockFile file;
  if (constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
      text.starts_with(byte_order_mark)) {
    text.remove_prefix(byte_order_mark.size());
  }
  for (std::uint32_t line_number = 1; !text.empty(); ++line_number) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find_first_of("#;"));
    if (std::string_view rest = line; take_word(rest).empty()) continue;
    const Position position{.line = line_number, .column = first_column(line)};
    if (file.entries.size() == limits::block_file_entries_max) {
      mistakes.error(position, "a block file has at most " +
                                   std::to_string(limits::block_file_entries_max) + " entries");
      file.too_long = true;
      break;
    }
    auto entry = parse_access_entry(line);
    if (entry) {
      file.entries.push_back(*entry);
    } else {
      ++file.bad_lines;
      mistakes.error(position, entry.error().what);
    }
  }
  file.mistakes = mistakes.take();
  return file;
}

}  // namespace sni
