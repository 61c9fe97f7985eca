#pragma once

// Memory of connections and flows: chunks of slots that never move, since the kernel holds pointers
// into them. A slot's generation is incremented when it is freed. Chunks are allocated on demand
// and kept.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace sni {

template <typename T>
class Slots {
 public:
  // The number of a free slot, ready for emplace().
  std::uint32_t acquire() {
    if (free_.empty()) grow();
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }

  std::uint16_t generation(std::uint32_t slot) { return at(slot).generation; }

  // The caller has acquired the slot.
  template <typename... Arguments>
  T& emplace(std::uint32_t slot, Arguments&&... arguments) {
    ++used_;
    return at(slot).content.emplace(std::forward<Arguments>(arguments)...);
  }

  // nullptr: that occupant is gone.
  T* find(std::uint32_t slot, std::uint16_t generation) {
    if (slot >= capacity()) return nullptr;
    Slot& found = at(slot);
    if (found.generation != generation || !found.content) return nullptr;
    return &*found.content;
  }
  T* find(std::uint32_t slot) { return find(slot, at(slot).generation); }

  void free(std::uint32_t slot) {
    Slot& freed = at(slot);
    freed.content.reset();
    ++freed.generation;
    free_.push_back(slot);
    --used_;
  }

  std::uint32_t capacity() const {
    return static_cast<std::uint32_t>(chunks_.size() * chunk_slots);
  }
  std::uint32_t used() const { return used_; }

 private:
  static constexpr std::uint32_t chunk_slots = 64;
  struct Slot {
    [[no_unique_address]] std::optional<T> content;
    std::uint16_t generation = 0;  // In the padding of `content`.
  };
  using Chunk = std::array<Slot, chunk_slots>;

  Slot& at(std::uint32_t slot) { return (*chunks_[slot / chunk_slots])[slot % chunk_slots]; }

  void grow() {
    const std::uint32_t first = capacity();
    chunks_.push_back(std::make_unique<Chunk>());
    for (std::uint32_t i = chunk_slots; i-- > 0;) free_.push_back(first + i);
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;
};

}  // namespace sni
