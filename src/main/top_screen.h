#pragma once

// The terminal of `top`, by ncurses.

#include <utility>

#include "core/error.h"
#include "core/top/top.h"

namespace sni {

class TopScreen {
 public:
  // Takes the terminal over; there is one at a time. Errors: stdin or stdout is none, or nobody
  // knows its type.
  static Result<TopScreen> open();
  TopScreen(TopScreen&& other) noexcept : open_(std::exchange(other.open_, false)) {}
  TopScreen& operator=(TopScreen&&) = delete;
  ~TopScreen() { close(); }

  // Gives the terminal back as it was.
  void close();
  // Draws what has changed; of whatever size the terminal has by now.
  void draw(Top& top) const;
  // Hands over what has been typed. False: the terminal is gone.
  bool take_keys(Top& top) const;

 private:
  TopScreen() = default;
  bool open_ = true;
};

}  // namespace sni
