#pragma once

// Where the bench runs. As root: four network namespaces joined by veth pairs, one of which ends in
// a bridge, like that of a container,
//
//   client 198.18.0.10-17 --- 198.18.0.1 proxy 198.18.1.1 --- 198.18.1.10 backend
//                                        198.18.2.1 bridge -- 198.18.2.10 container
//
// where the proxy's namespace forwards, so that the direct rows use the same wires. 198.18.0.0/15
// is reserved for benchmarks (RFC 2544). Without privileges: loopback addresses of the current
// namespace.
//
// The namespaces are named after the run (run_name.h), so that those of a dead run can be removed.

#include <netinet/in.h>

#include <array>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/unique_fd.h"

namespace sni::bench {

enum class Role : std::uint8_t { client, proxy, backend, container };

class Lab {
 public:
  // Needs root and the `ip` tool.
  static Result<Lab> namespaces();
  static Lab loopback();
  static bool may_make_namespaces();

  Lab(Lab&& other) noexcept;
  Lab& operator=(Lab&&) = delete;
  ~Lab();

  bool isolated() const { return !prefix_.empty(); }
  // For setns(); negative: stay.
  int netns(Role role) const { return netns_[static_cast<std::size_t>(role)].get(); }

  in_addr proxy_address() const { return proxy_; }  // As the client sees it.
  in_addr backend_address() const { return backend_; }
  in_addr container_address() const { return container_; }  // Where isolated().
  const std::vector<in_addr>& client_addresses() const { return clients_; }

 private:
  Lab() = default;
  Result<void> build();

  std::string prefix_;  // Of the namespaces' names; empty: loopback.
  std::array<UniqueFd, 4> netns_;
  in_addr proxy_{};
  in_addr backend_{};
  in_addr container_{};
  std::vector<in_addr> clients_;
};

// Moves this thread into a namespace and back at the end of the scope.
class InNamespace {
 public:
  explicit InNamespace(int netns);
  ~InNamespace();
  InNamespace(const InNamespace&) = delete;
  InNamespace& operator=(const InNamespace&) = delete;

 private:
  UniqueFd home_;  // Empty: never left.
};

std::string to_string(in_addr address);

}  // namespace sni::bench
