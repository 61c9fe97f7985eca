#pragma once

// `sni-proxy backends`, with `--disable` and `--enable`: flags to requests on the control socket,
// answers to text.

#include <memory>
#include <optional>

namespace CLI {
class App;
}

namespace sni {

class BackendsCli {
 public:
  explicit BackendsCli(CLI::App& app);
  ~BackendsCli();

  // To be called after parsing: the exit status, or nullopt if none of these commands was given.
  std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace sni
