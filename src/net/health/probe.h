#pragma once

// One check of one endpoint: a connection that asks whether somebody serves there, and is closed. The
// socket is not blocking; whoever has the probe waits for it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address/address.h"
#include "core/config/config.h"
#include "core/unique_fd.h"

namespace sni {

struct ProbeRequest {
  Endpoint endpoint;  // Port 0: the UNIX socket at `path`.
  std::string path;
  HealthCheck check = HealthCheck::tcp;
  std::string server_name;
  const SourceConfig* source = nullptr;  // Looked at once.
  ProxyVersion send_proxy = ProxyVersion::none;
};

class Probe {
 public:
  // nullopt: it goes on. Else its end: empty where the check has passed, else why not.
  using Outcome = std::optional<std::string>;

  Outcome begin(const ProbeRequest& request, const TcpConfig& tcp);
  // The socket is ready, as asked for.
  Outcome advance();

  int fd() const { return socket_.get(); }
  // Else for its input.
  bool waits_for_output() const { return connecting_ || sent_ < output_.size(); }

 private:
  Outcome send_rest();
  Outcome receive();

  UniqueFd socket_;
  bool connecting_ = false;
  bool expects_answer_ = false;
  std::vector<std::uint8_t> output_;
  std::size_t sent_ = 0;
};

}  // namespace sni
