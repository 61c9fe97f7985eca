#pragma once

// Says when network interfaces come, go or change (rtnetlink, RTMGRP_LINK).

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class LinkWatch {
 public:
  static Result<LinkWatch> open();
  // Readable when something has changed.
  int fd() const { return fd_.get(); }
  // Takes what was said; whoever watches looks at its interfaces then, so the news themselves, also
  // those that were lost because there were too many, do not matter.
  void take();

 private:
  UniqueFd fd_;
};

}  // namespace sni
