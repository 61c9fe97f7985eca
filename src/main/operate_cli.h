#pragma once

// `sni-proxy connections`, `kill`, `stats`, `reload`, `drain` and `log-level`: flags to requests on
// the control socket, answers to text.

#include <memory>
#include <optional>

namespace CLI {
class App;
}

namespace sni {

class OperateCli {
 public:
  explicit OperateCli(CLI::App& app);
  ~OperateCli();

  // To be called after parsing: the exit status, or nullopt if none of these commands was given.
  std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace sni
