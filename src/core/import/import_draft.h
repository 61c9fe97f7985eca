#pragma once

// The configuration that an import is building. Every value is checked, and a value that cannot be
// taken over is noted with its line.

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/import/import.h"

namespace sni {

// A server of a pool. Its address is written as for backends, except that the port may be missing.
struct ImportServer {
  std::string address;
  std::uint32_t weight = 1;
  bool backup = false;
  std::uint64_t connections_max = 0;  // 0: any number.
};

// The destination of a route.
struct ImportPool {
  std::vector<ImportServer> servers;
  Balance balance = Balance::round_robin;
  ProxyVersion send_proxy = ProxyVersion::none;
  SourceConfig source;
  bool is_checked = false;  // By asking whether the servers take connections.
};

// Where a route is served.
struct ImportPlace {
  std::string listener;
  std::uint16_t port = 0;
};

class ImportDraft {
 public:
  // The rest of the configuration, to be written to.
  Config& config() { return config_; }

  // `words` precede the reason, in quotes.
  void note(std::uint32_t line, std::span<const std::string> words, std::string_view why);
  void note(std::uint32_t line, std::string text);
  // Once for each reason, however many lines have it.
  void note_once(std::uint32_t line, std::string text);

  // "address:port", "[v6]:port". Each address gets one listener. nullopt: it is not an address to
  // listen on, or its listener has another protocol; a note says so.
  struct Listener {
    std::string_view name;  // Preferred name; empty: any.
    std::string address;
    Protocol protocol = Protocol::tls;
  };
  std::optional<ImportPlace> add_listener(std::uint32_t line, const Listener& listener);
  ListenerConfig& listener(std::string_view name);

  // Sets the file for access lines; the first one counts. False: another one is set, or the path is
  // not absolute.
  bool set_access_file(std::string_view path);
  // Adds a route at each place. Servers without a port get the port of the place.
  void add_route(std::uint32_t line, const std::vector<std::string>& names,
                 std::span<const ImportPlace> places, const ImportPool& pool);
  void add_redirect(std::uint32_t line, std::vector<std::string> names,
                    std::span<const ImportPlace> places);

  // The configuration and the notes. Names that earlier routes take are dropped, and so are routes
  // without names left.
  Config finish(std::vector<ImportNote>& notes);

 private:
  std::string free_name(std::string_view wanted);
  bool add_backends(std::uint32_t line, RouteConfig& route, const ImportPool& pool,
                    std::uint16_t port);
  void push_route(std::uint32_t line, RouteConfig route);
  void drop_hidden_names();
  void part_families();

  Config config_;
  std::vector<std::uint32_t> route_lines_;                     // In step with config_.routes.
  std::map<std::string, std::size_t, std::less<>> listeners_;  // By name.
  std::map<Endpoint, std::size_t> addresses_;
  std::vector<ImportNote> notes_;
  std::set<std::string> noted_;
};

// "address" or "name" with this port. An address that has one and a UNIX socket stay as they are.
// IPv6 gets its brackets.
std::string with_port(std::string_view address, std::uint16_t port);

// A time as these programs write it, with or without a unit: "5s", but not "1m30s". A time out of a
// key's range becomes the nearest in it. nullopt: not a time.
std::optional<std::chrono::milliseconds> import_time(std::string_view text,
                                                     std::string_view unit_without,
                                                     std::chrono::milliseconds min,
                                                     std::chrono::milliseconds max);

}  // namespace sni
