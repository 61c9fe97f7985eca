#pragma once

// The proxies that the bench compares: the planes of the one under test, and every peer found on
// the machine. Each gets a configuration written for it, with one worker, no access log (but for one
// row of ours, whose lines go to a file), and the same names leading to the same backends, in a directory of the run; nothing of the system's own
// configuration is read or touched.

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
  std::uint64_t connections = 0;  // That it must be able to relay at once.
  std::string directory;          // For its configuration and whatever it writes.
};

struct Proxy {
  std::string id;       // As --only and the reports name it.
  std::string title;    // What it is, in a few words.
  std::string program;  // File to execute.
  std::string version;
  std::string (*configuration)(const Proxy&, const Scene&);
  std::vector<std::string> (*arguments)(const std::string& file);
  std::string plane;       // fast_path.mode of the proxy under test; empty for a peer.
  bool as_remote = false;  // Backends on this host, which all of the lab's are, count as remote.
  std::string log_level = "warning";  // Of the proxy under test; "info" has access lines.
  std::size_t balanced = 1;  // Over so many backends each name is spread by round_robin; 1: none.
  std::string module;        // nginx: the file of its stream module, where it is one.
};

// The planes of the proxy under test, `userspace` first: the others are compared with it. Those of
// the kernel need privileges.
std::vector<Proxy> planes(const std::string& program, bool privileged);
// Those peers that are installed.
std::vector<Proxy> installed_peers();

// Writes the configuration into the scene's directory; the command line that runs it.
std::vector<std::string> prepare(const Proxy& proxy, const Scene& scene);

}  // namespace sni::bench
