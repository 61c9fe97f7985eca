#include "core/session/access_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "core/hello/byte_reader.h"

namespace sni {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// The differences between the two formats.
struct Style {
  std::string_view open;
  std::string_view close;
  std::string_view hex_prefix;  // Before the two digits of an escaped byte.
  bool is_json;                 // Text has no quotes around unambiguous values.
};

constexpr Style text_style{.open = "", .close = "", .hex_prefix = "\\x", .is_json = false};

// A JSON object (RFC 8259). Bytes from 0x80 on become the code points of the same number, since
// they need not be UTF-8: the object is always valid, and the bytes can be restored.
constexpr Style json_style{.open = "{", .close = "}", .hex_prefix = "\\u00", .is_json = true};

// A field's key in both formats, with everything around it: a line has twenty, and is put together
// for every connection.
class Key {
 public:
  template <std::size_t Size>
  consteval explicit(false) Key(const char (&name)[Size]) {  // NOLINT(*-avoid-c-arrays): a literal
    const auto add = [this](std::string_view text) {
      for (const char c : text) text_[length_++] = c;
    };
    add(" ");
    add({name, Size - 1});
    add("=");
    json_begin_ = length_;
    add(",\"");
    add({name, Size - 1});
    add("\":");
  }
  constexpr std::string_view in(const Style& style) const {
    const std::string_view both(text_.data(), length_);
    return style.is_json ? both.substr(json_begin_) : both.substr(0, json_begin_);
  }

 private:
  std::array<char, 40> text_{};
  std::uint8_t json_begin_ = 0;
  std::uint8_t length_ = 0;
};

constexpr bool is_plain(char c) {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

void append_escaped(std::string& out, std::string_view text, std::string_view hex_prefix) {
  for (;;) {
    const auto odd = std::ranges::find_if_not(text, is_plain);
    const auto plain = static_cast<std::size_t>(odd - text.begin());
    out += text.substr(0, plain);
    if (plain == text.size()) return;
    const char c = *odd;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      const auto byte = static_cast<std::uint8_t>(c);
      out += hex_prefix;
      out += hex_digits[byte >> 4];
      out += hex_digits[byte & 15];
    }
    text.remove_prefix(plain + 1);
  }
}

// What a value needs, as bits.
constexpr unsigned needs_quotes = 1;
constexpr unsigned needs_escapes = 2;

constexpr auto needs_of_bytes = [] {
  std::array<std::uint8_t, 256> needs{};
  for (unsigned byte = 0; byte < needs.size(); ++byte) {
    const char c = static_cast<char>(byte);
    if (!is_plain(c)) needs[byte] = needs_quotes | needs_escapes;
    if (c == ' ' || c == '=') needs[byte] = needs_quotes;
  }
  return needs;
}();

class Fields {
 public:
  explicit Fields(const Style& style) : style_(style) { line_.reserve(usual_length); }

  void string(Key key, std::string_view value) {
    begin(key);
    unsigned needs = value.empty() || style_.is_json ? needs_quotes : 0;
    for (const char c : value) needs |= needs_of_bytes[static_cast<std::uint8_t>(c)];
    if ((needs & needs_quotes) != 0) line_ += '"';
    if ((needs & needs_escapes) != 0) {
      append_escaped(line_, value, style_.hex_prefix);
    } else {
      line_ += value;
    }
    if ((needs & needs_quotes) != 0) line_ += '"';
  }
  void number(Key key, std::uint64_t value) {
    begin(key);
    std::array<char, std::numeric_limits<std::uint64_t>::digits10 + 1> digits;
    line_.append(digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr);
  }
  std::string finish() {
    line_ += style_.close;
    return std::move(line_);
  }

 private:
  void begin(const Key& key) {
    std::string_view text = key.in(style_);
    if (line_.empty()) {
      line_ += style_.open;
      text.remove_prefix(1);  // The separator.
    }
    line_ += text;
  }

  static constexpr std::size_t usual_length = 512;

  const Style& style_;
  std::string line_;
};

// "1.3", or a hexadecimal number for an unknown version.
std::string version_text(std::uint16_t version) {
  if (version == 0) return {};
  if (version == 0x0300) return "ssl3";
  if (version > 0x0300 && version <= 0x0304) {
    return {'1', '.', static_cast<char>('0' + (version - 0x0301))};
  }
  std::string text = "0x";
  for (int shift = 12; shift >= 0; shift -= 4) {
    text += hex_digits[static_cast<std::size_t>(version >> shift & 15)];
  }
  return text;
}

}  // namespace

std::string access_line(const AccessRecord& record, LogFormat format, InterfaceNames names) {
  Fields fields(format == LogFormat::json ? json_style : text_style);
  fields.string("client", record.client.to_string(names));
  if (record.proxy.port != 0) fields.string("proxy", record.proxy.to_string(names));
  fields.string("listener", record.listener);
  fields.string("server_name", record.server_name.substr(0, logged_name_max));
  fields.string("alpn", record.alpn);
  fields.string("tls", version_text(record.tls_version));
  fields.string("ech", record.ech ? "offered" : "no");
  fields.string("route", record.route);
  fields.string("backend", record.backend);
  if (!record.upstream.empty()) fields.string("upstream", record.upstream);
  fields.number("attempts", record.attempts);
  fields.number("resolve_ms", record.resolve_ms);
  fields.number("queue_ms", record.queue_ms);
  fields.number("connect_ms", record.connect_ms);
  fields.number("client_bytes", record.client_bytes);
  fields.number("server_bytes", record.server_bytes);
  fields.number("duration_ms", record.duration_ms);
  fields.string("plane", record.plane);
  fields.string("end", record.end);
  if (!record.unique_id.empty()) fields.string("unique_id", record.unique_id);
  if (!record.error.empty()) fields.string("error", record.error);
  return fields.finish();
}

std::string escape_for_log(std::string_view text) {
  std::string escaped;
  append_escaped(escaped, text, text_style.hex_prefix);
  return escaped;
}

std::string_view first_protocol(std::span<const std::uint8_t> alpn_list) {
  ByteReader list(alpn_list);
  ByteReader protocol;
  if (!list.prefixed_u8(protocol)) return {};
  return {reinterpret_cast<const char*>(protocol.rest().data()), protocol.size()};
}

}  // namespace sni
