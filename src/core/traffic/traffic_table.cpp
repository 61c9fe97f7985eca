#include "core/traffic/traffic_table.h"

#include <utility>

namespace sni {

namespace {

// A connection has a cost even if it moves no bytes; a hello and its answer have about this size.
constexpr std::uint64_t connection_weight = 2048;

std::uint64_t weight_of(const TrafficCount& count) {
  return count.bytes() + count.connections * connection_weight;
}

}  // namespace

void TrafficTable::add(std::string_view key, const TrafficCount& count) {
  if (const auto found = entries_.find(key); found != entries_.end()) {
    Entry& entry = found->second;
    entry.count += count;
    entry.weight += weight_of(count);
    return sink(entry.place);
  }
  if (entries_.size() < entries_max_) {
    auto& entry = *entries_.emplace(key, Entry{.count = count, .weight = weight_of(count)}).first;
    heap_.push_back(nullptr);
    put(heap_.size() - 1, &entry);
    return rise(heap_.size() - 1);
  }
  auto node = entries_.extract(heap_.front()->first);
  Entry& entry = node.mapped();
  other_ += entry.count;
  entry.count = count;
  entry.weight += weight_of(count);
  node.key() = key;
  put(0, &*entries_.insert(std::move(node)).position);
  sink(0);
}

std::vector<TrafficRow> TrafficTable::rows() const {
  std::vector<TrafficRow> rows;
  rows.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) rows.push_back({.key = key, .count = entry.count});
  return rows;
}

void TrafficTable::put(std::size_t place, Entries::value_type* entry) {
  heap_[place] = entry;
  entry->second.place = place;
}

void TrafficTable::sink(std::size_t place) {
  Entries::value_type* const entry = heap_[place];
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->second.weight < heap_[child]->second.weight) {
      ++child;
    }
    if (entry->second.weight <= heap_[child]->second.weight) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, entry);
}

void TrafficTable::rise(std::size_t place) {
  Entries::value_type* const entry = heap_[place];
  while (place > 0) {
    const std::size_t parent = (place - 1) / 2;
    if (heap_[parent]->second.weight <= entry->second.weight) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, entry);
}

}  // namespace sni
