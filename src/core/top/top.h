#pragma once

// Theory of operation: `sni-proxy top` without a terminal. take() gets a sample of the proxy, key()
// gets the user's input, and draw() returns the lines of a screen of any size. Rates are computed
// here from two samples. A row is identified by its key, so the selection stays with it when the
// order changes. Every text is printable ASCII, since the proxy escapes what comes from the
// network.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/top/top_sample.h"
#include "core/top/top_table.h"

namespace sni {

enum class TopStyle : std::uint8_t { plain, strong, head, selected, alarm };

struct TopLine {
  std::string text;  // As wide as the screen.
  TopStyle style = TopStyle::plain;
};

// Keys that are not characters.
enum class TopKey : std::uint8_t {
  up,
  down,
  page_up,
  page_down,
  home,
  end,
  enter,
  escape,
  backspace
};

// Selects the connections of a `kill`: the member of its request, and the value.
struct TopKill {
  std::string member;
  std::string value;
};

class Top {
 public:
  void take(TopSample sample);
  // Shows the result of a kill, or why there is no data, until the next key.
  void tell(std::string message) { message_ = std::move(message); }

  void key(char character);
  void key(TopKey key);
  bool wants_end() const { return ends_; }
  // Confirmed by the user, once.
  std::optional<TopKill> take_kill();
  TopView view() const { return view_; }

  // `height` lines.
  std::vector<TopLine> draw(std::size_t width, std::size_t height, bool unicode);

 private:
  struct Row {
    std::string key;  // For the selection and for kill.
    TopCells cells;
    std::vector<std::uint64_t> values;  // The sort keys.
  };
  struct Seen {
    std::uint64_t at_ms = 0;
    std::uint64_t up = 0;
    std::uint64_t down = 0;
  };
  enum class Mode : std::uint8_t { list, filter, confirm, help };

  void make_rows();
  void add_connection(const TopConnection& connection);
  void add_traffic(const TopTraffic& traffic);
  void arrange();
  void choose(TopView view);
  void move(std::ptrdiff_t by);
  void ask_kill();
  void list_key(char character);
  std::vector<TopLine> head(std::size_t width, bool unicode) const;
  TopLine foot(std::size_t width) const;
  void add_help(std::vector<TopLine>& lines, std::size_t width, std::size_t height) const;
  void add_table(std::vector<TopLine>& lines, std::size_t width, std::size_t height);

  TopSample sample_;
  std::vector<std::uint64_t> opened_;  // Per second, one value for each sample; bytes likewise.
  std::vector<std::uint64_t> up_;
  std::vector<std::uint64_t> down_;
  std::map<std::string, Seen, std::less<>> seen_;  // Of the view, in the previous sample.
  std::vector<Row> all_;
  std::vector<Row> rows_;  // The visible rows of all_, in their order.
  TopView view_ = TopView::connections;
  std::size_t sorted_by_ = 0;
  bool reversed_ = false;
  std::string filter_;
  std::string selected_;
  std::size_t cursor_ = 0;  // Of rows_: where the selected one was last.
  std::size_t first_ = 0;   // Of rows_: the first one on the screen.
  std::size_t page_ = 1;    // Rows on the screen.
  Mode mode_ = Mode::list;
  std::optional<TopKill> asked_;
  std::optional<TopKill> confirmed_;
  std::string message_;
  bool ends_ = false;
};

}  // namespace sni
