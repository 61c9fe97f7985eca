#pragma once

// The first flight of one connection, from its first byte until the backend has it, in memory of
// the right size. All flights of the process share one budget (limits.hello_memory), which bounds
// the memory of a flood of hellos: what does not fit is refused. Half of it is reserved for small
// flights, like those of real clients, so that a flood of large ones does not shut them out.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace sni {

// Bytes of all flights.
struct FlightBudget {
  std::atomic<std::uint64_t> used{0};
};

class Flight {
 public:
  // `budget` outlives the flight.
  explicit Flight(FlightBudget& budget) : budget_(&budget) {}
  Flight(Flight&& other) noexcept
      : budget_(other.budget_),
        bytes_(std::move(other.bytes_)),
        size_(std::exchange(other.size_, 0)),
        header_bytes_(other.header_bytes_),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Flight& operator=(Flight&&) = delete;
  ~Flight() { release(); }

  // False: all flights together would exceed `budget_max` bytes.
  [[nodiscard]] bool append(std::span<const std::uint8_t> bytes, std::uint64_t budget_max);
  // Puts bytes of our own before those of the client and replaces earlier ones. They are few and
  // bounded, so the budget counts but never refuses them.
  void put_header(std::span<const std::uint8_t> header);
  void drop_header();
  // Discards the first `count` bytes.
  void drop_front(std::size_t count);
  // Gives spare capacity back once no more bytes will come.
  void shrink();
  void release();

  // The header, then the client's bytes.
  std::span<const std::uint8_t> bytes() const { return {bytes_.get(), size_}; }
  std::size_t header_bytes() const { return header_bytes_; }
  bool empty() const { return size_ == 0; }

 private:
  void move_to(std::size_t capacity);

  FlightBudget* budget_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_ = 0;
  std::size_t header_bytes_ = 0;  // Of size_.
  std::size_t capacity_ = 0;      // What the budget has been charged.
};

}  // namespace sni
