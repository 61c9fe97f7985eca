#pragma once

// Reports that network interfaces were added, removed or changed (rtnetlink, RTMGRP_LINK).

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni {

class LinkWatch {
 public:
  static Result<LinkWatch> open();
  // Readable when something has changed.
  int fd() const { return fd_.get(); }
  // Discards the messages. The caller then examines its interfaces, so their contents do not
  // matter, nor does the loss of some.
  void take();

 private:
  UniqueFd fd_;
};

}  // namespace sni
