#include "bench/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "bench/clock.h"
#include "bench/interrupt.h"
#include "core/unique_fd.h"
#include "net/environment.h"

namespace sni::bench {
namespace {

// In the child, before anything else. `parent` detects its death before prctl().
void settle(int netns, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  restore_signals();
  if (netns >= 0 && ::setns(netns, CLONE_NEWNET) != 0) ::_exit(126);
}

[[noreturn]] void execute(std::vector<std::string> argv) {
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

void redirect_output(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0) return;
  ::dup2(fd, STDOUT_FILENO);
  ::dup2(fd, STDERR_FILENO);
  ::close(fd);
}

}  // namespace

Result<Child> Child::run(int netns, const std::vector<std::string>& argv,
                         const std::string& output) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_sys("cannot fork for " + argv.front(), errno);
  if (pid == 0) {
    settle(netns, parent);
    redirect_output(output);
    execute(argv);
  }
  return Child(pid);
}

Result<Child> Child::call(int netns, const std::function<void()>& function) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_sys("cannot fork", errno);
  if (pid == 0) {
    settle(netns, parent);
    function();
    ::_exit(0);
  }
  return Child(pid);
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    stop();
    pid_ = std::exchange(other.pid_, -1);
  }
  return *this;
}

bool Child::running() const {
  if (pid_ < 0) return false;
  siginfo_t info{};
  // WNOWAIT: stop() still reaps it, and until then nobody else has its pid.
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

void Child::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  const std::uint64_t deadline = now_ns() + second_ns;
  while (running() && now_ns() < deadline) ::poll(nullptr, 0, 2);
  // The group too, since some peers have helper processes. The zombie is still a member of it.
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Result<std::string> run_tool(const std::vector<std::string>& argv) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_sys("cannot make a pipe", errno);
  const UniqueFd reader = UniqueFd::adopt(ends[0]);
  UniqueFd writer = UniqueFd::adopt(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_sys("cannot fork for " + argv.front(), errno);
  if (pid == 0) {
    settle(-1, parent);
    ::dup2(writer.get(), STDOUT_FILENO);
    ::dup2(writer.get(), STDERR_FILENO);
    execute(argv);
  }
  writer.reset();
  std::string said;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t n = ::read(reader.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    said.append(buffer.data(), static_cast<std::size_t>(n));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said;
  std::string command;
  for (const std::string& argument : argv) command += argument + " ";
  return fail("'" + command + "' failed: " + said);
}

std::string find_program(const std::string& name) {
  std::string directories(environment("PATH"));
  directories += ":/usr/local/sbin:/usr/sbin:/sbin";
  std::size_t begin = 0;
  while (begin <= directories.size()) {
    const std::size_t end = std::min(directories.find(':', begin), directories.size());
    const std::string file = directories.substr(begin, end - begin) + "/" + name;
    if (::access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return {};
}

}  // namespace sni::bench
