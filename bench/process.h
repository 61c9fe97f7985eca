#pragma once

// Child processes: peers, backends and the proxy under test. Each one enters its network namespace
// before it does anything else, leads a process group of its own and is killed by the kernel when
// the bench dies (PR_SET_PDEATHSIG), however that happens.

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "core/error.h"

namespace sni::bench {

class Child {
 public:
  // netns: descriptor of the namespace to enter; negative: stay.
  static Result<Child> run(int netns, const std::vector<std::string>& argv,
                           const std::string& output);
  static Result<Child> call(int netns, const std::function<void()>& function);

  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child() { stop(); }

  pid_t pid() const { return pid_; }
  bool running() const;
  // SIGTERM, a second to end by itself, then SIGKILL to the whole group.
  void stop();

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

// Runs a tool to its end; an error quotes its output.
Result<std::string> run_tool(const std::vector<std::string>& argv);

// The file of an executable in $PATH or the sbin directories; empty: not installed.
std::string find_program(const std::string& name);

}  // namespace sni::bench
