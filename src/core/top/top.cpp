#include "core/top/top.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "core/ascii.h"
#include "core/counted.h"
#include "core/quantity.h"
#include "core/top/sparkline.h"

namespace sni {

namespace {

constexpr std::size_t history_max = 1024;  // Samples, more than any screen is wide.

constexpr std::array<std::string_view, top_views> view_names{"connections", "names", "sources",
                                                             "backends", "routes"};
// What each view can be sorted by, in the order of Row::values.
constexpr std::array<std::string_view, 4> connection_orders{"rate", "up", "down", "age"};
constexpr std::array<std::string_view, 4> traffic_orders{"rate", "up", "down", "connections"};
// The member of a request for the view's keys; empty: there is none.
constexpr std::array<std::string_view, top_views> kill_members{"id", "name", "source", "backend",
                                                               ""};

std::string_view order_of(TopView view, std::size_t order) {
  return view == TopView::connections ? connection_orders[order] : traffic_orders[order];
}

bool contains(std::string_view text, std::string_view part) {
  return !std::ranges::search(text, part, {}, to_lower, to_lower).empty() || part.empty();
}

// The rate per second of a monotonic count; 0 if it was restarted.
std::uint64_t rate(std::uint64_t before, std::uint64_t now, std::uint64_t span_ms) {
  return now <= before || span_ms == 0 ? 0 : (now - before) * 1000 / span_ms;
}

void append(std::vector<std::uint64_t>& history, std::uint64_t value) {
  if (history.size() == history_max) history.erase(history.begin());
  history.push_back(value);
}

}  // namespace

void Top::take(TopSample sample) {
  if (sample.view != view_) return;  // It was requested before the user chose another view.
  const bool same_run = sample_.at_ms != 0 && sample.uptime_s >= sample_.uptime_s;
  if (same_run) {
    const std::uint64_t span_ms = sample.at_ms - sample_.at_ms;
    append(opened_, rate(sample_.accepted, sample.accepted, span_ms));
    append(up_, rate(sample_.up, sample.up, span_ms));
    append(down_, rate(sample_.down, sample.down, span_ms));
  }
  sample_ = std::move(sample);
  make_rows();
}

void Top::make_rows() {
  all_.clear();
  std::map<std::string, Seen, std::less<>> seen;
  for (const TopConnection& each : sample_.connections) add_connection(each);
  for (const TopTraffic& each : sample_.traffic) {
    add_traffic(each);
    seen[each.key] = {.at_ms = sample_.at_ms, .up = each.up, .down = each.down};
  }
  seen_ = std::move(seen);
  arrange();
}

void Top::add_connection(const TopConnection& each) {
  all_.push_back(
      {.key = each.id,
       .cells = {each.id, each.client, each.name.empty() ? "-" : each.name,
                 each.backend.empty() ? "-" : each.backend, each.plane, short_bytes(each.rate),
                 short_bytes(each.up), short_bytes(each.down), short_span(each.age_ms)},
       .values = {each.rate, each.up, each.down, each.age_ms}});
}

void Top::add_traffic(const TopTraffic& each) {
  const auto before = seen_.find(each.key);
  std::uint64_t up = 0;
  std::uint64_t down = 0;
  if (before != seen_.end()) {
    const std::uint64_t span_ms = sample_.at_ms - before->second.at_ms;
    up = rate(before->second.up, each.up, span_ms);
    down = rate(before->second.down, each.down, span_ms);
  }
  all_.push_back(
      {.key = each.key,
       .cells = {each.key.empty() ? "-" : each.key, std::to_string(each.connections),
                 short_bytes(up), short_bytes(down), short_bytes(each.up), short_bytes(each.down)},
       .values = {up + down, each.up, each.down, each.connections}});
}

// Filters, sorts, and finds the selected row again.
void Top::arrange() {
  rows_.clear();
  std::ranges::copy_if(all_, std::back_inserter(rows_), [this](const Row& row) {
    return std::ranges::any_of(row.cells,
                               [this](const auto& cell) { return contains(cell, filter_); });
  });
  std::ranges::sort(rows_, [this](const Row& a, const Row& b) {
    const std::uint64_t left = a.values[sorted_by_];
    const std::uint64_t right = b.values[sorted_by_];
    if (left == right) return a.key < b.key;
    return reversed_ ? left < right : left > right;
  });
  const auto found = std::ranges::find(rows_, selected_, &Row::key);
  if (found != rows_.end()) cursor_ = static_cast<std::size_t>(found - rows_.begin());
  move(0);
}

void Top::choose(TopView view) {
  if (view == view_) return;
  view_ = view;
  all_.clear();
  rows_.clear();
  seen_.clear();
  sample_.connections.clear();
  sample_.traffic.clear();
  selected_.clear();
  cursor_ = 0;
  sorted_by_ = 0;
  reversed_ = false;
}

void Top::move(std::ptrdiff_t by) {
  if (rows_.empty()) {
    cursor_ = 0;
    return;
  }
  const auto last = static_cast<std::ptrdiff_t>(rows_.size()) - 1;
  cursor_ = static_cast<std::size_t>(
      std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(cursor_) + by, 0, last));
  selected_ = rows_[cursor_].key;
}

// ---- Keys -------------------------------------------------------------------------------------

void Top::key(char character) {
  message_.clear();
  switch (mode_) {
    case Mode::filter:
      if (character >= ' ' && character <= '~' && filter_.size() < 64) filter_ += character;
      return arrange();
    case Mode::confirm:
      if (character == 'y' || character == 'Y') confirmed_ = std::move(asked_);
      asked_.reset();
      mode_ = Mode::list;
      return;
    case Mode::help:
      mode_ = Mode::list;
      return;
    case Mode::list:
      return list_key(character);
  }
}

void Top::list_key(char character) {
  if (character >= '1' && character < static_cast<char>('1' + top_views)) {
    return choose(static_cast<TopView>(character - '1'));
  }
  switch (character) {
    case 'q':
      ends_ = true;
      return;
    case '\t':
      return choose(static_cast<TopView>((static_cast<std::size_t>(view_) + 1) % top_views));
    case 's':
      sorted_by_ = (sorted_by_ + 1) % connection_orders.size();
      return arrange();
    case 'r':
      reversed_ = !reversed_;
      return arrange();
    case '/':
      mode_ = Mode::filter;
      return;
    case 'k':
      return ask_kill();
    case 'h':
    case '?':
      mode_ = Mode::help;
      return;
    default:
      return;
  }
}

void Top::key(TopKey key) {
  message_.clear();
  if (mode_ == Mode::filter) {
    if (key == TopKey::backspace && !filter_.empty()) filter_.pop_back();
    if (key == TopKey::escape) filter_.clear();
    if (key == TopKey::escape || key == TopKey::enter) mode_ = Mode::list;
    return arrange();
  }
  if (mode_ != Mode::list) {
    asked_.reset();
    mode_ = Mode::list;
    return;
  }
  const auto page = static_cast<std::ptrdiff_t>(page_);
  const auto all = static_cast<std::ptrdiff_t>(rows_.size());
  switch (key) {
    case TopKey::up:
      return move(-1);
    case TopKey::down:
      return move(1);
    case TopKey::page_up:
      return move(-page);
    case TopKey::page_down:
      return move(page);
    case TopKey::home:
      return move(-all);
    case TopKey::end:
      return move(all);
    case TopKey::escape:
      filter_.clear();
      return arrange();
    default:
      return;
  }
}

void Top::ask_kill() {
  const std::string_view member = kill_members[static_cast<std::size_t>(view_)];
  if (rows_.empty()) return tell("there is nothing to kill");
  if (member.empty()) return tell("routes cannot be killed: choose their names");
  if (selected_.empty() && view_ != TopView::names) return tell("these have no backend");
  asked_ = TopKill{.member = std::string(member), .value = selected_};
  mode_ = Mode::confirm;
}

std::optional<TopKill> Top::take_kill() {
  return std::exchange(confirmed_, std::nullopt);
}

// ---- The screen -------------------------------------------------------------------------------

std::vector<TopLine> Top::head(std::size_t width, bool unicode) const {
  constexpr std::size_t label_width = 24;
  std::vector<TopLine> lines;
  const std::string title = "sni-proxy " + sample_.version + ", " + sample_.state + ", up " +
                            short_span(sample_.uptime_s * 1000) + ", " +
                            counted(sample_.living, "connection");
  lines.push_back({.text = top_fit(sample_.at_ms == 0 ? "sni-proxy" : title, width),
                   .style = TopStyle::strong});
  const auto course = [&](const std::string& name, const std::vector<std::uint64_t>& values,
                          const std::string& now) {
    const std::string text = top_fit(name + top_fit("", 12 - name.size()) + now, label_width);
    if (width <= label_width) return lines.push_back({.text = top_fit(text, width)});
    lines.push_back({.text = text + sparkline(values, width - label_width, unicode)});
  };
  const auto newest = [](const std::vector<std::uint64_t>& values) {
    return values.empty() ? std::uint64_t{0} : values.back();
  };
  course("new/s", opened_, std::to_string(newest(opened_)));
  course("up/s", up_, short_bytes(newest(up_)));
  course("down/s", down_, short_bytes(newest(down_)));
  std::string views;
  for (std::size_t i = 0; i < top_views; ++i) {
    const bool chosen = i == static_cast<std::size_t>(view_);
    views += chosen ? '[' : ' ';
    views += std::to_string(i + 1) + ' ' + std::string(view_names[i]);
    views += chosen ? ']' : ' ';
  }
  views += "  by " + std::string(order_of(view_, sorted_by_)) + (reversed_ ? ", least first" : "");
  if (!filter_.empty()) views += "  with '" + filter_ + '\'';
  lines.push_back({.text = top_fit(views, width)});
  return lines;
}

TopLine Top::foot(std::size_t width) const {
  if (mode_ == Mode::filter) return {.text = top_fit("only rows with: " + filter_ + '_', width)};
  if (mode_ == Mode::confirm) {
    const std::string what = asked_->member == "id" ? "connection " + asked_->value
                             : asked_->value.empty()
                                 ? std::string("all connections without a name")
                                 : "all connections of " + asked_->member + ' ' + asked_->value;
    return {.text = top_fit("kill " + what + "? y/n", width), .style = TopStyle::alarm};
  }
  if (!message_.empty()) return {.text = top_fit(message_, width), .style = TopStyle::alarm};
  return {.text = top_fit("q quit  1-5 view  s sort  r reverse  / filter  k kill  h help", width)};
}

void Top::add_help(std::vector<TopLine>& lines, std::size_t width, std::size_t height) const {
  for (const std::string_view line :
       {"", "  1-5, Tab     connections, names, sources, backends, routes",
        "  s            sort by the next column: rate, up, down, age or connections",
        "  r            the other way round", "  /            only rows with this text; Esc: all",
        "  k            kill: the connection, or all of the name, source or backend",
        "  arrows, Page Up, Page Down, Home, End", "  q            quit", "",
        "  up is what clients send, down what backends send; /s is per second."}) {
    if (lines.size() == height) return;
    lines.push_back({.text = top_fit(line, width)});
  }
}

void Top::add_table(std::vector<TopLine>& lines, std::size_t width, std::size_t height) {
  static const std::vector<TopColumn> of_connections{
      {.title = "ID", .width = 7, .rank = 3},
      {.title = "CLIENT", .width = 15},
      {.title = "NAME", .width = 14},
      {.title = "BACKEND", .width = 15, .rank = 5},
      {.title = "PLANE", .width = 9, .rank = 6},
      {.title = "RATE/s", .width = 6, .number = true},
      {.title = "UP", .width = 5, .number = true, .rank = 2},
      {.title = "DOWN", .width = 5, .number = true, .rank = 1},
      {.title = "AGE", .width = 6, .number = true, .rank = 4}};
  static const std::vector<TopColumn> of_traffic{
      {.title = "KEY", .width = 15},
      {.title = "CONNECTIONS", .width = 11, .number = true, .rank = 3},
      {.title = "UP/s", .width = 6, .number = true},
      {.title = "DOWN/s", .width = 6, .number = true},
      {.title = "UP", .width = 6, .number = true, .rank = 2},
      {.title = "DOWN", .width = 6, .number = true, .rank = 1}};
  if (lines.size() >= height) return;
  const auto& columns = view_ == TopView::connections ? of_connections : of_traffic;
  page_ = std::max<std::size_t>(1, height - lines.size() - 1);
  if (cursor_ < first_) first_ = cursor_;
  if (cursor_ >= first_ + page_) first_ = cursor_ - page_ + 1;
  first_ = std::min(first_, rows_.size() > page_ ? rows_.size() - page_ : 0);
  std::vector<TopCells> cells;
  for (std::size_t i = first_; i < std::min(first_ + page_, rows_.size()); ++i) {
    cells.push_back(rows_[i].cells);
  }
  const auto widths = top_widths(columns, cells, width);
  TopCells titles;
  for (const TopColumn& column : columns) titles.emplace_back(column.title);
  lines.push_back({.text = top_line(columns, widths, titles, width), .style = TopStyle::head});
  for (std::size_t i = 0; i < cells.size() && lines.size() < height; ++i) {
    lines.push_back({.text = top_line(columns, widths, cells[i], width),
                     .style = first_ + i == cursor_ ? TopStyle::selected : TopStyle::plain});
  }
}

std::vector<TopLine> Top::draw(std::size_t width, std::size_t height, bool unicode) {
  if (height == 0) return {};
  const std::size_t list_height = height - 1;  // The last line is the footer.
  std::vector<TopLine> lines = head(width, unicode);
  if (lines.size() > list_height) lines.resize(list_height);
  if (mode_ == Mode::help) {
    add_help(lines, width, list_height);
  } else {
    add_table(lines, width, list_height);
  }
  while (lines.size() < list_height) lines.push_back({.text = std::string(width, ' ')});
  lines.push_back(foot(width));
  return lines;
}

}  // namespace sni
