#pragma once

// `sni-proxy config` prints the configuration that a file results in. `sni-proxy import` converts
// the file of another proxy.

#include <memory>
#include <optional>

namespace CLI {
class App;
}

namespace sni {

class ConfigCli {
 public:
  explicit ConfigCli(CLI::App& app);
  ~ConfigCli();

  // To be called after parsing: the exit status, or nullopt if none of these commands was given.
  std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace sni
