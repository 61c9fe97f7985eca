#include "net/journal.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "net/control/control_address.h"
#include "support/socket_path.h"

using namespace sni;
using namespace sni::test;

namespace {

// Stands in for journald.
class Listener {
 public:
  Listener() {
    const auto address = control_address(path_);
    fd_ = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(fd_.get(), as_sockaddr(*address), sizeof *address) == 0);
  }
  ~Listener() {
    ::unlink(path_.c_str());
    remove_directory_of(path_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const std::string& path() const { return path_; }
  std::string receive() const {
    std::array<char, 4096> bytes{};
    const ssize_t n = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return n < 0 ? "nothing" : std::string(bytes.data(), static_cast<std::size_t>(n));
  }

 private:
  std::string path_ = fresh_socket_path();
  UniqueFd fd_;
};

}  // namespace

TEST_CASE("an entry has the priority, and the message without time and level") {
  CHECK(journal_entry("<4>2026-11-28T01:02:03.004+00:00 warning backend a=b is out") ==
        "SYSLOG_IDENTIFIER=sni-proxy\nPRIORITY=4\nMESSAGE=backend a=b is out\n");
  CHECK(journal_entry(R"(<3>{"time":"2026","level":"error","message":"two\nlines"})") ==
        "SYSLOG_IDENTIFIER=sni-proxy\nPRIORITY=3\nMESSAGE=two lines\n");
}

TEST_CASE("an access line's members are fields, whatever the names in it look like") {
  CHECK(journal_entry("<6>2026-11-28T01:02:03.004+00:00 info client=[2001:db8::1]:5 "
                      R"(server_name="a \"b\" end=done" alpn="" attempts=1 end=refused)") ==
        "SYSLOG_IDENTIFIER=sni-proxy\nPRIORITY=6\n"
        R"(MESSAGE=client=[2001:db8::1]:5 server_name="a \"b\" end=done" alpn="" attempts=1 )"
        "end=refused\n"
        "SNI_CLIENT=[2001:db8::1]:5\n"
        R"(SNI_SERVER_NAME=a \"b\" end=done)"
        "\nSNI_ALPN=\nSNI_ATTEMPTS=1\nSNI_END=refused\n");
  const std::string object = R"({"time":"2026","level":"info","client":"a","attempts":1})";
  CHECK(journal_entry("<6>" + object) == "SYSLOG_IDENTIFIER=sni-proxy\nPRIORITY=6\nMESSAGE=" +
                                             object + "\nSNI_ATTEMPTS=1\nSNI_CLIENT=a\n");
}

TEST_CASE("members beside the message become fields") {
  CHECK(journal_entry(R"(<3>{"time":"2026","level":"error","message":"f:3:1: no","line":3})") ==
        "SYSLOG_IDENTIFIER=sni-proxy\nPRIORITY=3\nMESSAGE=f:3:1: no\nSNI_LINE=3\n");
}

TEST_CASE("broken lines become entries all the same") {
  for (const char* line : {"", "<", "<6>", "<6>{", "<6>{\"a\"", "<6>word", "<6>t info client=",
                           "<6>t info client=\"", "<6>t info client=\"\\", "<6>[]"}) {
    CAPTURE(line);
    const std::string entry = journal_entry(line);
    CHECK(entry.ends_with("\n"));
    CHECK(entry.find("\nMESSAGE=") != std::string::npos);
  }
}

TEST_CASE("each line is a datagram, and what the journal does not take is given back") {
  const Listener listener;
  const auto journal = Journal::open(listener.path());
  REQUIRE(journal);
  CHECK(journal->write("<6>t info one\n<4>t warning two\n").empty());
  CHECK(listener.receive() == journal_entry("<6>t info one"));
  CHECK(listener.receive() == journal_entry("<4>t warning two"));
  CHECK(listener.receive() == "nothing");
  ::unlink(listener.path().c_str());
  CHECK(journal->write("<6>t info three\n") == "<6>t info three\n");
  CHECK_FALSE(Journal::open(listener.path()));
}
