#pragma once

// Whether a direction moves enough at a time for splicing (net/relay/splice.h), and whether its
// low-water mark is raised (net/relay/low_water.h). Sizes of receives go in; the bounds are in
// core/limits.h.
//
//   state  | large receive        | small receive      | waited in vain | refused
//   -------+----------------------+--------------------+----------------+--------
//   small  | 8 in a row: bulk     | counts back        |                |
//   bulk   | 8 in a row: raised   | 32 more: small     |                | small
//   raised | stays                | 1: bulk; 32: small | bulk, the next | small
//          |                      |                    | needs twice as |
//          |                      |                    | many in a row  |
//
// A direction faster than limits::low_water_rate_max is bulk and never raised.

#include <algorithm>
#include <cstdint>

#include "core/limits.h"

namespace sni {

class BulkGauge {
 public:
  // `now_ms`: of the loop.
  void moved(std::uint32_t bytes, std::uint64_t now_ms) {
    measure(bytes, static_cast<std::uint32_t>(now_ms));
    if (bytes < limits::bulk_bytes) {
      large_ = 0;
      if (bytes < limits::bulk_small_bytes && score_ > 0) --score_;
      if (score_ == 0) bulk_ = false;
      return;
    }
    if (bulk_ && large_ < needed_) {
      ++large_;
    } else if (bytes >= limits::low_water_bytes && ++repaid_ == limits::low_water_repaid) {
      repaid_ = 0;
      needed_ = std::max<std::uint16_t>(needed_ / 2, limits::low_water_begins);
    }
    if (score_ < limits::bulk_forgotten) ++score_;
    if (!bulk_ && score_ >= limits::bulk_begins) enter();
  }
  bool bulk() const { return bulk_; }
  bool raises_mark() const { return bulk_ && !fast_ && large_ >= needed_; }
  // No pipe was available, or splicing stopped: try again after as many large receives as at first.
  void refuse() {
    bulk_ = false;
    score_ = 0;
    large_ = 0;
  }
  void waited_in_vain() {
    large_ = 0;
    repaid_ = 0;
    needed_ = std::min<std::uint16_t>(needed_ * 2, limits::low_water_begins_max);
  }

 private:
  void measure(std::uint32_t bytes, std::uint32_t now_ms) {
    if (now_ms != counted_since_ms_) {
      const std::uint64_t passed_ms = now_ms - counted_since_ms_;
      fast_ = counted_ > passed_ms * limits::low_water_rate_max;
      counted_since_ms_ = now_ms;
      counted_ = 0;
    }
    counted_ += bytes;
  }
  void enter() {
    bulk_ = true;
    score_ = limits::bulk_forgotten;
  }
  std::uint8_t score_ = 0;
  bool bulk_ = false;
  bool fast_ = false;        // The recent rate exceeds limits::low_water_rate_max.
  std::uint8_t repaid_ = 0;  // Full receives since one waited in vain, or since needed_ fell.
  std::uint16_t large_ = 0;  // Large receives in a row,
  std::uint16_t needed_ = limits::low_water_begins;  // and how many raise the mark.
  std::uint32_t counted_since_ms_ = 0;               // Of the loop's clock,
  std::uint32_t counted_ = 0;                        // and the bytes since then.
};

}  // namespace sni
