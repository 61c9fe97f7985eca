#pragma once

// `sni-proxy top`. Theory of operation: a thread asks the proxy once per interval. The interval
// grows when answers take long, so that the load on the proxy stays small. The main thread waits
// for samples, keys and signals, and draws. core/top/top.h decides what is drawn.

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

  // To be called after parsing: the exit status, or nullopt if the command was not given.
  std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace sni
