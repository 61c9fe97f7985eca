#pragma once

// `sni-proxy config`: what a configuration file comes to. `sni-proxy import`: what the file of another
// proxy would be as one.

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

  // After parsing: the exit status, or nullopt where no command of ours was given.
  std::optional<int> run() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace sni
