#include "core/import/haproxy_match.h"

#include <algorithm>
#include <array>

#include "core/config/diagnostic.h"
#include "core/import/name_patterns.h"

namespace sni {
namespace {

using Names = std::vector<std::string>;

// How a value is compared.
struct Criterion {
  std::string_view fetch;
  std::string_view method;
};

constexpr std::array<Criterion, 14> criteria{{{"req_ssl_sni", "str"},
                                              {"req.ssl_sni", "str"},
                                              {"req_ssl_sni_end", "end"},
                                              {"req.ssl_sni_end", "end"},
                                              {"req_ssl_sni_reg", "reg"},
                                              {"req.ssl_sni_reg", "reg"},
                                              {"hdr(host)", "str"},
                                              {"req.hdr(host)", "str"},
                                              {"hdr_end(host)", "end"},
                                              {"hdr_dom(host)", "dom"},
                                              {"hdr_reg(host)", "reg"},
                                              {"hdr_beg(host)", "beg"},
                                              {"req.fhdr(host)", "str"},
                                              {"ssl_sni", "str"}}};

Names names_of(std::string_view method, const std::string& value) {
  if (method == "str") return names_of_host(value);
  if (method == "end") return names_of_suffix(value);
  if (method == "dom") return names_of_suffix(value);
  if (method == "reg") return names_of_regex(value);
  return {};
}

// "req.ssl_sni,lower": names are the same in either case.
std::string fetch_of(std::string_view text) {
  std::string fetch(text.substr(0, text.find(',')));
  const std::string_view rest = text.substr(fetch.size());
  if (!rest.empty() && rest != ",lower") return {};
  return fetch;
}

bool says_that_it_is_tls(std::string_view fetch) {
  return fetch == "req_ssl_hello_type" || fetch == "req.ssl_hello_type" || fetch == "req_ssl_ver" ||
         fetch == "req.ssl_ver" || fetch == "req_len" || fetch == "req.len";
}

void add(HaproxyMatch& match, const HaproxyMatch& more) {
  match.everybody |= more.everybody;
  for (const std::string& name : more.names) {
    if (std::ranges::find(match.names, name) == match.names.end()) match.names.push_back(name);
  }
}

// Reads terms separated by "or"; adjacent terms must all hold.
class Condition {
 public:
  Condition(std::span<const std::string> words, const HaproxyAcls& acls)
      : words_(words), acls_(acls) {}
  Result<HaproxyMatch> read();

 private:
  Result<HaproxyMatch> read_all();
  Result<HaproxyMatch> read_term();
  bool at_or() const { return words_[at_] == "or" || words_[at_] == "||"; }

  std::span<const std::string> words_;
  const HaproxyAcls& acls_;
  std::size_t at_ = 0;
};

Result<HaproxyMatch> Condition::read() {
  HaproxyMatch any;
  while (at_ < words_.size()) {
    auto all = read_all();
    if (!all) return all;
    add(any, *all);
    if (at_ < words_.size()) ++at_;  // "or"
  }
  return any;
}

Result<HaproxyMatch> Condition::read_all() {
  std::optional<HaproxyMatch> found;
  while (at_ < words_.size() && !at_or()) {
    auto term = read_term();
    if (!term) return term;
    if (term->everybody) continue;
    if (found) return fail("conditions that must all hold have no counterpart");
    found = *std::move(term);
  }
  return found.value_or(HaproxyMatch{.everybody = true, .names = {}});
}

Result<HaproxyMatch> Condition::read_term() {
  const std::string& word = words_[at_++];
  if (word == "!" || word.starts_with('!')) return fail("a negation has no counterpart");
  if (word == "TRUE") return HaproxyMatch{.everybody = true, .names = {}};
  if (word == "{") {
    const std::size_t begin = at_;
    while (at_ < words_.size() && words_[at_] != "}") ++at_;
    const auto expression = words_.subspan(begin, at_ - begin);
    if (at_ < words_.size()) ++at_;
    return haproxy_match(expression);
  }
  const auto acl = acls_.find(word);
  if (acl == acls_.end()) return fail("there is no ACL " + in_quotes(word));
  if (!acl->second) return fail("ACL " + in_quotes(word) + " is not taken over");
  return acl->second;
}

}  // namespace

Result<HaproxyMatch> haproxy_match(std::span<const std::string> expression) {
  if (expression.empty()) return fail("an empty condition");
  const std::string fetch = fetch_of(expression[0]);
  if (says_that_it_is_tls(fetch)) return HaproxyMatch{.everybody = true, .names = {}};
  const auto criterion = std::ranges::find(criteria, fetch, &Criterion::fetch);
  if (criterion == criteria.end()) {
    return fail(in_quotes(expression[0]) + " is nothing that routes go by");
  }
  std::string_view method = criterion->method;
  std::size_t at = 1;
  for (; at < expression.size() && expression[at].starts_with('-'); ++at) {
    const std::string& flag = expression[at];
    if (flag == "--") {
      ++at;
      break;
    }
    if (flag == "-i") continue;
    if (flag != "-m" || at + 1 == expression.size()) {
      return fail("the flag " + in_quotes(flag) + " has no counterpart");
    }
    method = expression[++at];
  }
  HaproxyMatch match;
  for (; at < expression.size(); ++at) {
    const Names names = names_of(method, expression[at]);
    if (names.empty()) {
      return fail(in_quotes(expression[at]) + " compared by '" + printable(method) +
                  "' gives no names for a route");
    }
    add(match, {.everybody = false, .names = names});
  }
  if (match.names.empty()) return fail("there is no value");
  return match;
}

Result<HaproxyMatch> haproxy_condition(std::span<const std::string> words,
                                       const HaproxyAcls& acls) {
  return Condition(words, acls).read();
}

}  // namespace sni
