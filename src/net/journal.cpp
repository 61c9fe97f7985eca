#include "net/journal.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "net/control/control_address.h"

namespace sni {
namespace {

constexpr std::size_t entries_per_call = 64;
constexpr std::string_view access_begins = "client=";  // As no other line does.

void add_field(std::string& entry, std::string_view name, std::string_view value) {
  entry.append(name).append("=").append(value).append("\n");
}

// A newline would begin another field. Access lines have none in their names; JSON may escape one.
std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

// "server_name" gives "SNI_SERVER_NAME".
std::string field_name(std::string_view key) {
  std::string name = "SNI_";
  for (const char c : key) {
    const bool lower = c >= 'a' && c <= 'z';
    name += lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

// key=value key="value with \"quotes\"": core/session/access_line.h. Escapes stay as they are.
void add_text_members(std::string& entry, std::string_view text) {
  while (!text.empty()) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return;
    const std::string_view key = text.substr(0, equals);
    text.remove_prefix(equals + 1);
    std::size_t end = 0;
    const bool quoted = text.starts_with('"');
    if (quoted) text.remove_prefix(1);
    for (; end < text.size() && text[end] != (quoted ? '"' : ' '); ++end) {
      if (text[end] == '\\') ++end;
    }
    end = std::min(end, text.size());
    add_field(entry, field_name(key), text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of("\" "), text.size()));
  }
}

void add_object(std::string& entry, std::string_view text) {
  const auto object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return add_field(entry, "MESSAGE", text);
  const auto text_of = [](const nlohmann::json& value) {
    const auto* string = value.get_ptr<const std::string*>();
    return string != nullptr ? one_line(*string) : value.dump();
  };
  const auto message = object.find("message");
  add_field(entry, "MESSAGE", message != object.end() ? text_of(*message) : std::string(text));
  for (const auto& [key, value] : object.items()) {
    if (key == "time" || key == "level" || key == "message") continue;
    add_field(entry, field_name(key), text_of(value));
  }
}

}  // namespace

std::string journal_entry(std::string_view line) {
  std::string entry = "SYSLOG_IDENTIFIER=sni-proxy\n";
  if (line.size() >= 3 && line[0] == '<' && line[2] == '>') {
    add_field(entry, "PRIORITY", line.substr(1, 1));
    line.remove_prefix(3);
  }
  if (line.starts_with('{')) {
    add_object(entry, line);
    return entry;
  }
  for (int word = 0; word < 2; ++word) {  // Time and level.
    line.remove_prefix(std::min(line.find(' '), line.size()));
    line.remove_prefix(std::min<std::size_t>(1, line.size()));
  }
  add_field(entry, "MESSAGE", line);
  if (line.starts_with(access_begins)) add_text_members(entry, line);
  return entry;
}

std::optional<Journal> Journal::open(const std::string& path) {
  const auto address = control_address(path);
  UniqueFd socket = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!address || !socket || ::connect(socket.get(), as_sockaddr(*address), sizeof *address) != 0) {
    return std::nullopt;
  }
  return Journal(std::move(socket), *address);
}

std::string_view Journal::write(std::string_view lines) const {
  sockaddr_un address = address_;  // sendmmsg(2) wants it without const.
  while (!lines.empty()) {
    std::array<std::string, entries_per_call> entries;
    std::array<std::size_t, entries_per_call> ends{};  // Of their lines.
    std::array<iovec, entries_per_call> pieces{};
    std::array<mmsghdr, entries_per_call> messages{};
    unsigned count = 0;
    for (std::size_t at = 0; count < entries_per_call && at < lines.size(); ++count) {
      const std::size_t end = std::min(lines.find('\n', at), lines.size());
      entries[count] = journal_entry(lines.substr(at, end - at));
      pieces[count] = {.iov_base = entries[count].data(), .iov_len = entries[count].size()};
      msghdr& header = messages[count].msg_hdr;
      header.msg_name = &address;
      header.msg_namelen = sizeof address;
      header.msg_iov = &pieces[count];
      header.msg_iovlen = 1;
      at = ends[count] = std::min(end + 1, lines.size());
    }
    int sent = 0;
    do {
      sent = ::sendmmsg(socket_.get(), messages.data(), count, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent <= 0) return lines;
    lines.remove_prefix(ends[static_cast<std::size_t>(sent) - 1]);
  }
  return {};
}

}  // namespace sni
