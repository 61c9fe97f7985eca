#pragma once

// Server names as other proxies write them, as the names of a route: regular expressions of the
// kinds that people use for names, and suffixes. What is no list of names stays an expression.

#include <string>
#include <string_view>
#include <vector>

namespace sni {

// Of an expression that is searched for anywhere in the name, as all of these proxies do: without
// "^", "example\.com" takes the names below it too. What it would take behind the name is left out.
// One that stands for no list of names becomes a name of the form "/expression/". Empty: it is none
// as RE2 takes them.
std::vector<std::string> names_of_regex(std::string_view regex);

// Of the end of a name: ".example.com" is all names below, "example.com" that and all below.
std::vector<std::string> names_of_suffix(std::string_view suffix);

// Of "a.example", "*.example", "*"; ".example" is the name and all below it, as in nginx.
std::vector<std::string> names_of_host(std::string_view host);

}  // namespace sni
