#include "main/top_screen.h"

#define NCURSES_NOMACROS  // These macros have names of standard library functions.
#include <curses.h>
#include <langinfo.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <clocale>
#include <cstring>
#include <optional>

#include "net/environment.h"

namespace sni {
namespace {

// An Escape counts as a key of its own after this time: terminals send longer sequences in one
// piece.
constexpr int escape_delay_ms = 50;
// Pairs of colours; 0 is the terminal's own.
constexpr short alarm_pair = 1;

// https://no-color.org: set and not empty.
bool wants_colours() {
  return environment("NO_COLOR").empty() && has_colors();
}

bool has_unicode() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): `top` has one thread.
  return std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

attr_t attributes(TopStyle style) {
  switch (style) {
    case TopStyle::plain:
      return A_NORMAL;
    case TopStyle::strong:
      return A_BOLD;
    case TopStyle::head:
      return A_BOLD | A_UNDERLINE;
    case TopStyle::selected:
      return A_REVERSE;
    case TopStyle::alarm:
      return A_BOLD | (wants_colours() ? static_cast<attr_t>(COLOR_PAIR(alarm_pair)) : A_NORMAL);
  }
  return A_NORMAL;
}

std::optional<TopKey> key_of(int code) {
  switch (code) {
    case KEY_UP:
      return TopKey::up;
    case KEY_DOWN:
      return TopKey::down;
    case KEY_PPAGE:
      return TopKey::page_up;
    case KEY_NPAGE:
      return TopKey::page_down;
    case KEY_HOME:
      return TopKey::home;
    case KEY_END:
      return TopKey::end;
    case KEY_ENTER:
    case '\r':
    case '\n':
      return TopKey::enter;
    case 27:
      return TopKey::escape;
    case KEY_BACKSPACE:
    case '\b':
    case 127:
      return TopKey::backspace;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<TopScreen> TopScreen::open() {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
    return fail("top needs a terminal; `sni-proxy stats` and `connections` do not");
  }
  std::setlocale(LC_CTYPE, "");  // NOLINT(concurrency-mt-unsafe): `top` has one thread.
  // A "dumb" terminal cannot move its cursor. initscr() would exit the process on failure.
  if (environment("TERM") == "dumb" || newterm(nullptr, stdout, stdin) == nullptr) {
    return fail("top cannot use a terminal of the type in $TERM; try TERM=vt100");
  }
  set_escdelay(escape_delay_ms);
  cbreak();
  noecho();
  nodelay(stdscr, TRUE);
  keypad(stdscr, TRUE);
  curs_set(0);
  if (wants_colours()) {
    start_color();
    use_default_colors();
    init_pair(alarm_pair, COLOR_RED, -1);
  }
  return TopScreen();
}

void TopScreen::close() {
  if (std::exchange(open_, false)) endwin();
}

void TopScreen::draw(Top& top) const {
  const auto width = static_cast<std::size_t>(COLS);
  const auto height = static_cast<std::size_t>(LINES);
  int row = 0;
  for (const TopLine& line : top.draw(width, height, has_unicode())) {
    attrset(static_cast<int>(attributes(line.style)));
    // On some terminals a character in the last cell would scroll the screen, so addstr() reports
    // an error after it has drawn the line.
    (void)mvaddstr(row++, 0, line.text.c_str());
  }
  refresh();
}

bool TopScreen::take_keys(Top& top) const {
  bool resized = false;
  for (int code = getch(); code != ERR; code = getch()) {
    if (code == KEY_RESIZE) {
      resized = true;
    } else if (const auto key = key_of(code)) {
      top.key(*key);
    } else if (code >= 0 && code < 128) {
      top.key(static_cast<char>(code));
    }
  }
  if (resized) erase();
  std::array<pollfd, 2> ends{{{.fd = STDIN_FILENO, .events = 0, .revents = 0},
                              {.fd = STDOUT_FILENO, .events = 0, .revents = 0}}};
  poll(ends.data(), ends.size(), 0);
  constexpr short gone = POLLHUP | POLLERR | POLLNVAL;
  return ((ends[0].revents | ends[1].revents) & gone) == 0;
}

}  // namespace sni
