#include "net/connect/flight.h"

#include <algorithm>
#include <cstring>

#include "core/limits.h"

namespace sni {

bool Flight::append(std::span<const std::uint8_t> bytes, std::uint64_t budget_max) {
  const std::size_t size = size_ + bytes.size();
  if (size > capacity_) {
    // Grows by at least half, so that a flight in many pieces is copied a bounded number of times.
    const std::size_t capacity = std::max(size, capacity_ + capacity_ / 2);
    const std::uint64_t more = capacity - capacity_;
    const std::uint64_t allowed = size <= limits::small_flight_bytes ? budget_max : budget_max / 2;
    if (budget_->used.fetch_add(more, std::memory_order_relaxed) + more > allowed) {
      budget_->used.fetch_sub(more, std::memory_order_relaxed);
      return false;
    }
    move_to(capacity);
  }
  std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
  size_ = size;
  return true;
}

void Flight::put_header(std::span<const std::uint8_t> header) {
  const std::span<const std::uint8_t> client = bytes().subspan(header_bytes_);
  const std::size_t size = header.size() + client.size();
  auto whole = std::make_unique_for_overwrite<std::uint8_t[]>(size);
  std::ranges::copy(header, whole.get());
  std::ranges::copy(client, whole.get() + header.size());
  budget_->used.fetch_add(size - capacity_, std::memory_order_relaxed);  // May wrap: it is a sum.
  bytes_ = std::move(whole);
  size_ = capacity_ = size;
  header_bytes_ = header.size();
}

void Flight::drop_header() {
  if (header_bytes_ != 0) drop_front(std::exchange(header_bytes_, 0));
}

void Flight::drop_front(std::size_t count) {
  size_ -= count;
  std::memmove(bytes_.get(), bytes_.get() + count, size_);
}

void Flight::shrink() {
  if (capacity_ == size_) return;
  const std::uint64_t less = capacity_ - size_;
  move_to(size_);
  budget_->used.fetch_sub(less, std::memory_order_relaxed);
}

void Flight::release() {
  bytes_.reset();
  size_ = 0;
  budget_->used.fetch_sub(std::exchange(capacity_, 0), std::memory_order_relaxed);
}

void Flight::move_to(std::size_t capacity) {
  auto grown = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
  if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
  bytes_ = std::move(grown);
  capacity_ = capacity;
}

}  // namespace sni
