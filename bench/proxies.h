#pragma once

// The proxies that the bench compares: the planes of the one under test, and every peer found on
// the machine. Each gets a configuration of its own in a directory of the run, with one worker, no
// access log (except one row of ours and one of HAProxy, whose lines go to a file), and the same
// names leading to the same backends. The system's own configuration is neither read nor changed.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sni::bench {

// What a proxy is to serve.
struct Scene {
  struct Route {
    std::string name;
    std::string backend;  // address:port
  };
  std::string address;  // Where it listens.
  std::uint16_t port = 0;
  std::vector<Route> routes;
  std::uint64_t connections = 0;  // Concurrent connections that it must be able to relay.
  std::string directory;          // For its configuration and its output.
};

struct Proxy {
  std::string id;       // As --only and the reports name it.
  std::string title;    // What it is, in a few words.
  std::string program;  // File to execute.
  std::string version;
  std::string (*configuration)(const Proxy&, const Scene&);
  std::vector<std::string> (*arguments)(const std::string& file);
  std::string plane;       // fast_path.mode of the proxy under test; empty for a peer.
  bool as_remote = false;  // Backends on this host, like all of the lab, count as remote.
  std::string log_level = "warning";  // Of the proxy under test; "info" has access lines.
  bool observed = false;              // Observed during the run (bench/observer.h).
  // Number of backends over which round_robin spreads each name; 1: none.
  std::size_t balanced = 1;
  std::string module;  // nginx: the file of its stream module, where it is one.
};

// The planes of the proxy under test, `userspace` first: the others are compared with it. Kernel
// planes need privileges.
std::vector<Proxy> planes(const std::string& program, bool privileged);
// The installed peers.
std::vector<Proxy> installed_peers();

// Sockets of a proxy under test in the scene's directory; the second one only if it is `observed`.
std::string control_socket(const Scene& scene);
std::string metrics_socket(const Scene& scene);

// Writes the configuration into the scene's directory and returns the command line to run it.
std::vector<std::string> prepare(const Proxy& proxy, const Scene& scene);

}  // namespace sni::bench
