#pragma once

// The terminal of `top`, with ncurses.

#include <utility>

#include "core/error.h"
#include "core/top/top.h"

namespace sni {

class TopScreen {
 public:
  // Takes over the terminal; there is only one at a time. Errors: stdin or stdout is not a
  // terminal, or its type is unknown.
  static Result<TopScreen> open();
  TopScreen(TopScreen&& other) noexcept : open_(std::exchange(other.open_, false)) {}
  TopScreen& operator=(TopScreen&&) = delete;
  ~TopScreen() { close(); }

  // Restores the terminal.
  void close();
  // Draws the changes, in the current size of the terminal.
  void draw(Top& top) const;
  // Passes typed keys on. False: the terminal is gone.
  bool take_keys(Top& top) const;

 private:
  TopScreen() = default;
  bool open_ = true;
};

}  // namespace sni
