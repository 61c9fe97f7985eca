#pragma once

// One check of one endpoint: a connection that finds out whether the endpoint serves, and is
// closed. The socket is nonblocking; the owner of the probe waits for it.

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
  const SourceConfig* source = nullptr;  // Read only at the start.
  ProxyVersion send_proxy = ProxyVersion::none;
};

class Probe {
 public:
  // nullopt: the probe goes on. Else its result: empty if the check passed, else why it failed.
  using Outcome = std::optional<std::string>;

  Outcome begin(const ProbeRequest& request, const TcpConfig& tcp);
  // The socket is ready, as asked for.
  Outcome advance();

  // Whether it failed for want of something of this host, so that it says nothing of the endpoint.
  bool hindered() const { return hindered_; }

  int fd() const { return socket_.get(); }
  // Whether to wait for output, else for input.
  bool waits_for_output() const { return connecting_ || sent_ < output_.size(); }

 private:
  void compose(const ProbeRequest& request);
  Outcome fail_with(int sys_errno);
  Outcome send_rest();
  Outcome receive() const;

  UniqueFd socket_;
  bool connecting_ = false;
  bool hindered_ = false;
  bool expects_answer_ = false;
  std::vector<std::uint8_t> output_;
  std::size_t sent_ = 0;
};

}  // namespace sni
