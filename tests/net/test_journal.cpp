#include "net/journal.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

using namespace sni;

namespace {

// Stands in for journald.
class Listener {
 public:
  Listener() {
    std::string name = std::filesystem::temp_directory_path() / "sni-journal-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~Listener() { std::filesystem::remove_all(directory_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::string path() const { return directory_ + "/socket"; }
  std::string receive() const {
    std::array<char, 4096> bytes{};
    const ssize_t n = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return n < 0 ? "nothing" : std::string(bytes.data(), static_cast<std::size_t>(n));
  }

 private:
  std::string directory_;
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
