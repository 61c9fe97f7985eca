#pragma once

// Counts the conduct of sources and says which of them exceed their limits. Workers report, and one
// place counts, so that the connections of a source add up over all workers.

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "core/guard/guard_entry.h"

namespace sni {

enum class Conduct : std::uint8_t {
  connected,  // Opened a connection.
  refused,    // Was refused at limits.connections_per_source.
  bad_hello,  // Sent something that is not a hello, or none in time.
};

// How often a source may do so; 0: without limit.
struct ConductLimits {
  std::uint32_t connections_per_second = 0;
  std::uint32_t refused_per_minute = 0;
  std::uint32_t bad_hellos_per_minute = 0;

  bool any() const {
    return connections_per_second != 0 || refused_per_minute != 0 || bad_hellos_per_minute != 0;
  }
  auto operator<=>(const ConductLimits&) const = default;
};

class SourceWatch {
 public:
  explicit SourceWatch(const ConductLimits& allowed) : allowed_(allowed) {}

  // True if this exceeds the limit. `source` is the base of the prefix that a ban would cover.
  bool report(const IpAddress& source, Conduct conduct, GuardTime now);
  // Forgets sources whose windows have passed; call it about once a second.
  void expire(GuardTime now);
  // Reports that were not counted because the table was full.
  std::uint64_t overflows() const { return overflows_; }

 private:
  struct Window {
    GuardTime started = 0;
    std::uint32_t count = 0;
  };
  struct Windows {
    Window connected;
    Window refused;
    Window bad_hello;
  };

  ConductLimits allowed_;
  std::unordered_map<IpAddress, Windows> sources_;
  std::uint64_t overflows_ = 0;
};

}  // namespace sni
