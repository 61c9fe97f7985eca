#pragma once

// The path of a UNIX socket in a directory of its own.

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

namespace sni::test {

inline std::string fresh_socket_path() {
  std::string directory = "/tmp/sni-socket-test.XXXXXX";
  REQUIRE(mkdtemp(directory.data()) != nullptr);
  return directory + "/test.sock";
}

inline void remove_directory_of(const std::string& path) {
  rmdir(path.substr(0, path.rfind('/')).c_str());
}

}  // namespace sni::test
