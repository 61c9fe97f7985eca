#pragma once

// `sni-proxy top`. Theory of operation: a thread asks the proxy once in an interval, which grows
// where the answers take long, so that looking costs the proxy little; the main thread waits for
// its samples, for keys and for signals, and draws. What is drawn decides core/top/top.h.

#include <memory>
#include <optional>

namespace CLI {
class App;
}

namespace sni {

class TopCli {
 public:
  explicit TopCli(CLI::App& app);
  ~TopCli();

  // After parsing: the exit status, or nullopt where no command of ours was given.
  std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace sni
