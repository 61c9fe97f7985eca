#pragma once

// The listening sockets of all workers. The server owns them, so that they can outlive a worker and
// be handed over; workers accept from borrowed sockets.
//
//   prepare() opens what a new configuration adds -> commit() -> lend() to each worker
//
// Sockets from the service manager are used before any is opened; all workers then accept from the
// same one.
//
// Among sockets that listen on one address the kernel chooses by a hash of the connection, or, if
// workers are pinned, by the CPU on which the SYN arrives (SO_INCOMING_CPU,
// reuseport_select_sock_by_hash()).
//
// A listener that the new configuration does not name is retired: its sockets ignore new
// connections, each worker accepts those that have completed their handshake by then or do so soon
// after, and gives its socket back. Only then is the socket closed. So a close resets no client in
// the middle of its handshake, and a descriptor number in a worker's submission queue never refers
// to another file.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/config/config.h"
#include "core/error.h"
#include "core/unique_fd.h"
#include "net/server/passed_sockets.h"

namespace sni {

class ListenerSet;

// Never reused for another listener.
using ListenerId = std::uint32_t;

// One socket lent to one worker. The destructor gives it back, on any thread.
class LentSocket {
 public:
  LentSocket() = default;
  ~LentSocket() { give_back(); }
  LentSocket(LentSocket&& other) noexcept
      : set_(std::exchange(other.set_, nullptr)),
        listener_(other.listener_),
        worker_(other.worker_),
        fd_(std::exchange(other.fd_, -1)) {}
  LentSocket& operator=(LentSocket&& other) noexcept;

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  friend class ListenerSet;
  LentSocket(ListenerSet& set, ListenerId listener, unsigned worker, int fd)
      : set_(&set), listener_(listener), worker_(worker), fd_(fd) {}
  void give_back();

  ListenerSet* set_ = nullptr;
  ListenerId listener_ = 0;
  unsigned worker_ = 0;
  int fd_ = -1;
};

// A listener of the running configuration as one worker sees it.
struct LentListener {
  ListenerId id = 0;
  LentSocket socket;  // Empty: the worker already has it.
};

// For the main thread, except the return of a socket.
class ListenerSet {
 public:
  // `cpus`: the CPU of each worker; empty: workers are not pinned.
  explicit ListenerSet(unsigned workers, PassedSockets passed = {}, std::vector<int> cpus = {})
      : workers_(workers), passed_(std::move(passed)), cpus_(std::move(cpus)) {}

  // What a configuration listens on, in its order.
  struct Change {
    struct Listener {
      ListenerId id;
      ListenerConfig config;
      std::vector<UniqueFd> opened;  // One per worker; empty: it is already open.
    };
    std::vector<Listener> listeners;
  };
  // Opens what is not open yet, without changing open listeners. Waits up to half a second for a
  // retired listener on the same address.
  Result<Change> prepare(const Config& config);
  // Applies a change. Returns the listeners that it retires.
  std::vector<ListenerConfig> commit(Change change);
  // One for each listener of the configuration, in its order.
  std::vector<LentListener> lend(unsigned worker);
  // Retires all listeners.
  void retire_all() { static_cast<void>(commit({})); }

  // Closes sockets from the service manager that no listener uses; returns their names.
  std::vector<std::string> close_unused_passed() { return passed_.close_unused(); }

  // Sockets of retired listeners that workers still have.
  std::size_t retired() const;

 private:
  friend class LentSocket;
  struct Socket {
    UniqueFd fd;
    bool lent = false;
  };
  struct Entry {
    ListenerConfig config;
    std::vector<Socket> sockets;
    bool retired = false;
  };

  Result<std::vector<UniqueFd>> open(const ListenerConfig& listener, const TcpConfig& tcp);
  Result<UniqueFd> open_first(const ListenerConfig& listener, const TcpConfig& tcp);
  bool has_port(std::uint16_t port, bool retired) const;
  static void close_returned(Entry& entry);
  void forget_closed();
  void take_back(ListenerId listener, unsigned worker);

  const unsigned workers_;
  PassedSockets passed_;
  const std::vector<int> cpus_;
  ListenerId last_id_ = 0;
  std::vector<ListenerId> current_;  // In the order of the configuration.

  mutable std::mutex mutex_;  // Protects everything below.
  std::condition_variable returned_;
  std::map<ListenerId, Entry> entries_;
};

}  // namespace sni
