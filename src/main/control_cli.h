#pragma once

// `sni-proxy block`, `unblock`, `blocklist` and `status`: flags to requests on the control socket,
// and answers to text.

#include <memory>
#include <optional>

namespace CLI {
class App;
}

namespace sni {

class ControlCli {
 public:
  explicit ControlCli(CLI::App& app);
  ~ControlCli();

  // To be called after parsing: the exit status, or nullopt if none of these commands was given.
  std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace sni
