#pragma once

// Traffic under each key of one kind, such as server names, in bounded memory however many keys
// clients invent. Theory of operation (Metwally, Agrawal and El Abbadi, "Efficient Computation of
// Frequent and Top-k Elements in Data Streams", 2005): in a full table a new key replaces the
// lightest one and inherits its weight. So a new key that keeps occurring stays, and a key with
// more than 1/entries_max of all traffic is always present. The counts of a new key still begin at
// 0: the counts of the replaced key go to other(), so rows and other() together are always exact.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/string_hash.h"

namespace sni {

struct TrafficCount {
  std::uint64_t connections = 0;
  std::uint64_t to_backend = 0;  // Bytes, from clients.
  std::uint64_t to_client = 0;

  std::uint64_t bytes() const { return to_backend + to_client; }
  TrafficCount& operator+=(const TrafficCount& more) {
    connections += more.connections;
    to_backend += more.to_backend;
    to_client += more.to_client;
    return *this;
  }
  bool operator==(const TrafficCount&) const = default;
};

struct TrafficRow {
  std::string key;
  TrafficCount count;
};

class TrafficTable {
 public:
  // `key`: the hash key, unknown to clients. Memory is allocated as keys arrive.
  TrafficTable(std::size_t entries_max, SipKey key)
      : entries_max_(entries_max), entries_(0, KeyedStringHash{key}) {}
  TrafficTable(const TrafficTable&) = delete;  // The heap points into the map.
  TrafficTable& operator=(const TrafficTable&) = delete;

  void add(std::string_view key, const TrafficCount& count);
  std::vector<TrafficRow> rows() const;  // In no order.
  const TrafficCount& other() const { return other_; }

 private:
  struct Entry {
    TrafficCount count;
    std::uint64_t weight = 0;
    std::size_t place = 0;  // In the heap.
  };
  using Entries = std::unordered_map<std::string, Entry, KeyedStringHash, std::equal_to<>>;

  void put(std::size_t place, Entries::value_type* entry);
  void sink(std::size_t place);
  void rise(std::size_t place);

  std::size_t entries_max_;
  Entries entries_;
  std::vector<Entries::value_type*> heap_;  // The lightest in front.
  TrafficCount other_;
};

}  // namespace sni
