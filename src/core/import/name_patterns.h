#pragma once

// Converts server names of other proxies into names of a route: suffixes, and the kinds of regular
// expressions that people use for names. An expression that is not a list of names stays an
// expression.

#include <string>
#include <string_view>
#include <vector>

namespace sni {

// All of these proxies search for an expression anywhere in the name: without "^", "example\.com"
// matches the names below it too. Matches that go on after the name are left out. An expression
// that is not a list of names becomes a name of the form "/expression/". Empty: RE2 does not accept
// it.
std::vector<std::string> names_of_regex(std::string_view regex);

// For the end of a name: ".example.com" means all names below it, "example.com" itself and all
// below it.
std::vector<std::string> names_of_suffix(std::string_view suffix);

// For "a.example", "*.example", "*"; ".example" means the name and all below it, as in nginx.
std::vector<std::string> names_of_host(std::string_view host);

}  // namespace sni
