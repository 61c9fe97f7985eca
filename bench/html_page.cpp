#include "bench/html_page.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/process.h"

namespace sni::bench {

std::string beside(std::string_view name) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name;
}

std::string find_page_script() {
  for (const char* place : {"html_page.py", "../share/sni-proxy/html_page.py"}) {
    std::string script = beside(place);
    if (::access(script.c_str(), X_OK) == 0) return script;
  }
  return {};
}

Result<void> check_page_script(const std::string& script) {
  if (script.empty()) {
    return fail("--html: html_page.py is neither beside this program nor in " +
                beside("../share/sni-proxy"));
  }
  const auto done = run_tool({script, "--check"});
  if (done) return {};
  return fail("--html: is the package python3-matplotlib installed? " + done.error().what);
}

Result<void> write_html_page(const std::string& script, const std::string& json,
                             const std::string& file) {
  std::string data = std::filesystem::temp_directory_path() / "sni-bench-page-XXXXXX";
  const int descriptor = ::mkstemp(data.data());
  if (descriptor < 0) return fail_sys("cannot make a temporary file for the page", errno);
  ::close(descriptor);
  std::ofstream(data) << json;
  const auto done = run_tool({script, data, file});
  ::unlink(data.c_str());
  if (done) return {};
  return fail("cannot write " + file + ": " + done.error().what);
}

}  // namespace sni::bench
