#pragma once

// The report as one page with plots. html_page.py draws it with matplotlib from the report's JSON.
// The script is in this program's directory in the build tree, and in ../share/sni-proxy once
// installed.

#include <string>
#include <string_view>

#include "core/error.h"

namespace sni::bench {

// Empty: there is none.
std::string find_page_script();
// Whether the script can run here, checked before the run instead of ten minutes later.
Result<void> check_page_script(const std::string& script);
Result<void> write_html_page(const std::string& script, const std::string& json,
                             const std::string& file);
// A file in the directory of this program.
std::string beside(std::string_view name);

}  // namespace sni::bench
