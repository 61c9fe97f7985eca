#pragma once

// A connection's place among those of its backend. It is counted from the moment of the choice,
// before the connect, so that connections that begin at the same time see each other.

#include <utility>

#include "core/route/backend_table.h"

namespace sni {

class BackendLease {
 public:
  BackendLease() = default;  // Counted nowhere.
  // The entry outlives the lease: the owner of the lease also holds the route.
  BackendLease(const BackendEntry& entry, AddressLoads::Place address)
      : entry_(&entry), address_(address) {
    entry.connections.fetch_add(1, std::memory_order_relaxed);
  }
  // The same, and the address if addresses are counted.
  BackendLease(const BackendEntry& entry, const IpAddress& address)
      : BackendLease(entry, place_of(entry, address)) {}
  static AddressLoads::Place place_of(const BackendEntry& entry, const IpAddress& address) {
    AddressLoads* const loads = entry.addresses.load(std::memory_order_acquire);
    return loads == nullptr ? nullptr : loads->enter(address);
  }
  // For an address alone: the connection already has its place at the backend.
  explicit BackendLease(AddressLoads::Place address) : address_(address) {}
  // For a place that is already counted.
  static BackendLease of_place(const BackendEntry& entry) {
    BackendLease lease;
    lease.entry_ = &entry;
    return lease;
  }
  // Takes over the other's place if this one has none.
  void take_place(BackendLease&& other) {
    if (entry_ == nullptr) entry_ = std::exchange(other.entry_, nullptr);
  }
  BackendLease(BackendLease&& other) noexcept
      : entry_(std::exchange(other.entry_, nullptr)),
        address_(std::exchange(other.address_, nullptr)) {}
  BackendLease& operator=(BackendLease&& other) noexcept {
    std::swap(entry_, other.entry_);
    std::swap(address_, other.address_);
    return *this;
  }
  ~BackendLease() {
    if (entry_ != nullptr) entry_->leave();
    AddressLoads::leave(address_);
  }

 private:
  const BackendEntry* entry_ = nullptr;
  AddressLoads::Place address_ = nullptr;
};

}  // namespace sni
