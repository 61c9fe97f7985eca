#include "core/import/brace_document.h"

#include <optional>
#include <utility>

#include "core/import/import.h"

namespace sni {
namespace {

enum class TokenKind : std::uint8_t { word, open, close, end, no_more };

struct Token {
  TokenKind kind = TokenKind::no_more;
  std::string word = {};
};

class Tokens {
 public:
  Tokens(std::string_view text, BraceStyle style) : text_(text), style_(style) {}

  std::uint32_t line() const { return line_; }
  Token next();

 private:
  bool lines() const { return style_ == BraceStyle::lines; }
  bool at_end() const { return at_ == text_.size(); }
  bool ends_word(char c) const;
  std::string take_bare();
  std::string take_quoted(char quote);
  void take_escaped(std::string& word);
  char take() {
    const char c = text_[at_++];
    if (c == '\n') ++line_;
    return c;
  }

  std::string_view text_;
  BraceStyle style_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

bool Tokens::ends_word(char c) const {
  return is_blank(c) || c == '\n' || c == ';' || c == '{' || (lines() && c == '}');
}

Token Tokens::next() {
  while (!at_end()) {
    const char c = text_[at_];
    if (c == '#') {
      while (!at_end() && text_[at_] != '\n') ++at_;
    } else if (c == '\n' && lines()) {
      // The line number must be read before this is consumed.
      ++at_;
      ++line_;
      return {.kind = TokenKind::end};
    } else if (is_blank(c) || c == '\n') {
      take();
    } else if (c == ';' || c == '{' || c == '}') {
      ++at_;
      return {.kind = c == ';' ? TokenKind::end : c == '{' ? TokenKind::open : TokenKind::close};
    } else if (c == '"' || (c == '\'' && !lines())) {
      return {.kind = TokenKind::word, .word = take_quoted(c)};
    } else {
      return {.kind = TokenKind::word, .word = take_bare()};
    }
  }
  return {.kind = TokenKind::no_more};
}

std::string Tokens::take_bare() {
  std::string word;
  while (!at_end() && !ends_word(text_[at_])) {
    if (text_[at_] == '\\') {
      take_escaped(word);
      continue;
    }
    // "${name}" is one word in nginx.
    const bool variable = !lines() && text_.substr(at_).starts_with("${");
    word += take();
    while (variable && !at_end() && word.back() != '}' && text_[at_] != '\n') word += take();
  }
  return word;
}

std::string Tokens::take_quoted(char quote) {
  std::string word;
  take();
  while (!at_end() && text_[at_] != quote) {
    if (text_[at_] == '\\') {
      take_escaped(word);
    } else {
      word += take();
    }
  }
  if (!at_end()) take();
  return word;
}

void Tokens::take_escaped(std::string& word) {
  take();
  if (at_end()) return;
  const char c = take();
  const bool plain = lines() || c == '"' || c == '\'' || c == '\\';
  if (!plain) word += '\\';
  word += c;
}

class Parser {
 public:
  Parser(std::string_view text, BraceStyle style) : tokens_(text, style), style_(style) {}

  Result<std::vector<Directive>> block(std::size_t depth);

 private:
  std::unexpected<Error> mistake(const std::string& what) const {
    return fail("line " + std::to_string(tokens_.line()) + ": " + what);
  }
  static void finish(Directive& current, std::vector<Directive>& all) {
    if (!current.words.empty()) all.push_back(std::exchange(current, {}));
  }

  Tokens tokens_;
  BraceStyle style_;
};

Result<std::vector<Directive>> Parser::block(std::size_t depth) {
  std::vector<Directive> all;
  Directive current;
  while (true) {
    Token token = tokens_.next();
    switch (token.kind) {
      case TokenKind::word:
        if (current.words.empty()) current.line = tokens_.line();
        current.words.push_back(std::move(token.word));
        break;
      case TokenKind::end:
        finish(current, all);
        break;
      case TokenKind::open: {
        // The brace may be on a line of its own.
        const bool on_its_own = current.words.empty() && style_ == BraceStyle::lines &&
                                !all.empty() && !all.back().has_block;
        if (current.words.empty() && !on_its_own) return mistake("'{' without a word before it");
        if (depth == limits::import_depth_max) return mistake("blocks nest too deep");
        auto inner = block(depth + 1);
        if (!inner) return inner;
        finish(current, all);
        all.back().has_block = true;
        all.back().block = *std::move(inner);
        break;
      }
      case TokenKind::close:
        if (depth == 0) return mistake("'}' without a '{'");
        finish(current, all);
        return all;
      case TokenKind::no_more:
        if (depth != 0) return mistake("the file ends within a block");
        finish(current, all);
        return all;
    }
  }
}

}  // namespace

Result<std::vector<Directive>> parse_braces(std::string_view text, BraceStyle style) {
  return Parser(text, style).block(0);
}

}  // namespace sni
