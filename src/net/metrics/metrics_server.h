#pragma once

// Theory of operation: /metrics for Prometheus, /healthz and /readyz for service monitors, over
// HTTP/1.x on a TCP or a UNIX socket of its own. The main thread serves it among other things, like
// the control socket, and waits for no client. The request head is bounded, a client gets its
// answer as fast as it reads, and it is disconnected after limits::scrape_timeout_ms without
// progress. A scraper may keep its connection for the next scrape. Metrics may be answered later,
// when the workers have reported; only their scraper waits.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/limits.h"
#include "core/metrics/http_request.h"
#include "core/unique_fd.h"

namespace sni {

// Takes the text of all metrics. To be called once, immediately or later, on the main thread while
// the MetricsServer lives.
using MetricsReply = std::function<void(const std::string&)>;

// The source of the answers, asked at each request.
class MetricsSource {
 public:
  virtual ~MetricsSource() = default;
  virtual void metrics(MetricsReply reply) = 0;
  virtual bool ready() const = 0;
};

class MetricsServer {
 public:
  // `address`: "address:port", or "unix:/path", whose socket is of mode 0660. `source` outlives the
  // server.
  // With more than `clients_max` the oldest client is dropped.
  static Result<std::unique_ptr<MetricsServer>> listen(
      const std::string& address, MetricsSource& source,
      std::size_t clients_max = limits::scrape_clients_max);
  ~MetricsServer();

  // Readable when dispatch() has work; dispatch() must also be called at deadline_ms(). `now_ms`:
  // CLOCK_MONOTONIC.
  int fd() const { return epoll_.get(); }
  std::optional<std::uint64_t> deadline_ms() const;
  void dispatch(std::uint64_t now_ms);

 private:
  using ClientId = std::uint64_t;  // Rises, so that the first is the oldest.
  struct Client {
    UniqueFd fd;
    std::string input;
    std::string output;
    bool awaited = false;  // Its metrics are pending.
    bool head = false;     // The pending request is HEAD.
    bool ending = false;
    bool waits = true;              // Waits for the rest of a head, or for its reader.
    std::uint64_t progress_ms = 0;  // Time of the last progress.
  };

  MetricsServer(MetricsSource& source, std::size_t clients_max)
      : source_(source), clients_max_(clients_max) {}
  Result<void> open(const std::string& address);
  Result<UniqueFd> open_unix(const std::string& path);
  void accept_clients();
  bool serve(ClientId id, Client& client, std::uint32_t events);
  bool take_request(ClientId id, Client& client);
  bool send_answer(Client& client);
  bool receive(Client& client) const;
  bool flush(Client& client) const;
  bool watch(ClientId id, const Client& client) const;
  void start_metrics(ClientId id, Client& client);
  void finish_metrics(ClientId id, const std::string& text);
  std::string answer(const HttpRequest& request) const;
  static bool is_late(const Client& client, std::uint64_t now_ms);

  MetricsSource& source_;
  std::size_t clients_max_;
  std::string path_;  // Of a UNIX socket; empty: it is a TCP socket.
  UniqueFd listener_;
  UniqueFd epoll_;
  std::map<ClientId, Client> clients_;
  ClientId last_id_ = 0;
  ClientId serving_ = 0;  // The client whose request is being handled; 0: none.
  std::uint64_t now_ms_ = 0;
};

}  // namespace sni
