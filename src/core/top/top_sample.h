#pragma once

// The state of a running proxy at one moment for `sni-proxy top`, as text and numbers.

#include <cstdint>
#include <string>
#include <vector>

namespace sni {

enum class TopView : std::uint8_t { connections, names, sources, backends, routes };
inline constexpr std::size_t top_views = static_cast<std::size_t>(TopView::routes) + 1;

struct TopConnection {
  std::string id;
  std::string client;
  std::string name;
  std::string backend;
  std::string plane;
  std::uint64_t up = 0;  // Bytes so far.
  std::uint64_t down = 0;
  std::uint64_t rate = 0;  // Bytes per second, both ways.
  std::uint64_t age_ms = 0;
};

// Counts since the start.
struct TopTraffic {
  std::string key;
  std::uint64_t connections = 0;
  std::uint64_t up = 0;
  std::uint64_t down = 0;
};

struct TopSample {
  std::uint64_t at_ms = 0;  // CLOCK_MONOTONIC.
  std::string version;
  std::string state;
  std::uint64_t uptime_s = 0;
  std::uint64_t living = 0;    // Connections.
  std::uint64_t accepted = 0;  // Since the start, as the next two.
  std::uint64_t up = 0;
  std::uint64_t down = 0;
  // Selects the list that is filled; the other one is empty.
  TopView view = TopView::connections;
  std::vector<TopConnection> connections;
  std::vector<TopTraffic> traffic;
};

}  // namespace sni
