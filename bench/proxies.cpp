#include "bench/proxies.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "bench/process.h"

namespace sni::bench {
namespace {

std::string endpoint(const Scene& scene) {
  return scene.address + ":" + std::to_string(scene.port);
}

std::string plane_configuration(const Proxy& proxy, const Scene& scene) {
  std::ostringstream out;
  out << "[server]\nworkers = 1\n\n"
      << "[[listener]]\nname = \"bench\"\naddress = \"" << endpoint(scene) << "\"\n\n";
  for (std::size_t i = 0; i < scene.routes.size(); ++i) {
    out << "[[route]]\nnames = [\"" << scene.routes[i].name << "\"]\nbackend = [";
    for (std::size_t j = 0; j < std::min(proxy.balanced, scene.routes.size()); ++j) {
      const Scene::Route& other = scene.routes[(i + j) % scene.routes.size()];
      out << (j == 0 ? "" : ", ") << '"' << other.backend << '"';
    }
    out << "]\n" << (proxy.balanced > 1 ? "balance = \"round_robin\"\n" : "") << '\n';
  }
  out << "[fast_path]\nmode = \"" << proxy.plane << "\"\n"
      << "same_host = "
      << (proxy.as_remote ? "false" : "true")
      // Within the warm-up, so that the plane itself is measured.
      << "\nafter = \"50ms\"\n\n"
      << "[control]\nsocket = \"" << control_socket(scene) << "\"\n\n"
      << "[log]\nlevel = \"" << proxy.log_level << "\"\n";
  if (proxy.observed) out << "\n[metrics]\nlisten = \"unix:" << metrics_socket(scene) << "\"\n";
  return out.str();
}

// The needs of mode tcp with req.ssl_sni, and otherwise the package's defaults.
std::string haproxy_shipped(const Proxy&, const Scene& scene) {
  std::ostringstream out;
  out << "global\n  nbthread 1\n  maxconn " << scene.connections << "\n"
      << "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 50s\n"
      << "  timeout server 50s\n"
      << "frontend bench\n  bind " << endpoint(scene) << "\n"
      << "  tcp-request inspect-delay 5s\n"
      << "  tcp-request content accept if { req.ssl_hello_type 1 }\n"
      << "  use_backend %[req.ssl_sni,lower]\n";
  for (const Scene::Route& route : scene.routes) {
    out << "backend " << route.name << "\n  server one " << route.backend << "\n";
  }
  return out.str();
}

// `where` is in the text.
void insert_after(std::string& text, std::string_view where, std::string_view lines) {
  text.insert(text.find(where) + where.size(), lines);
}

// An access line for each connection, to the same kind of file as that of the row `logged`.
std::string haproxy_logged(const Proxy& proxy, const Scene& scene) {
  std::string text = haproxy_shipped(proxy, scene);
  insert_after(text, "defaults\n  mode tcp\n", "  log global\n  option tcplog\n");
  insert_after(text, "global\n", "  log stderr format raw local0 info\n");
  return text;
}

// Kernel splicing both ways, large buffers and pipes.
std::string haproxy_tuned(const Proxy& proxy, const Scene& scene) {
  std::string text = haproxy_shipped(proxy, scene);
  insert_after(text, "defaults\n  mode tcp\n",
               "  option splice-request\n  option splice-response\n");
  // A pipe has two descriptors; few connections of this bench carry bulk.
  insert_after(text, "global\n", "  tune.bufsize 65536\n  tune.pipesize 1048576\n  maxpipes 64\n");
  return text;
}

std::string nginx_tuned(const Proxy& proxy, const Scene& scene) {
  std::ostringstream out;
  if (!proxy.module.empty()) out << "load_module " << proxy.module << ";\n";
  // One process, so that it dies with the bench and its memory is one figure.
  out << "daemon off;\nmaster_process off;\nworker_processes 1;\n"
      << "pid " << scene.directory << "/nginx.pid;\nlock_file " << scene.directory
      << "/nginx.lock;\nerror_log stderr error;\n"
      << "events {\n  worker_connections " << 2 * scene.connections + 64
      << ";\n  multi_accept on;\n}\n"
      << "stream {\n  map $ssl_preread_server_name $chosen {\n    hostnames;\n";
  for (const Scene::Route& route : scene.routes) {
    out << "    " << route.name << " " << route.backend << ";\n";
  }
  out << "  }\n  server {\n    listen " << endpoint(scene) << " backlog=4096;\n"
      << "    ssl_preread on;\n    proxy_pass $chosen;\n    proxy_buffer_size 64k;\n"
      << "    proxy_connect_timeout 5s;\n  }\n}\n";
  return out.str();
}

std::string sniproxy_shipped(const Proxy&, const Scene& scene) {
  std::ostringstream out;
  // As root like the others here: after a change of user it would no longer die with us.
  out << "user root\npidfile " << scene.directory << "/sniproxy.pid\n"
      << "error_log {\n  filename " << scene.directory << "/sniproxy.log\n  priority error\n}\n"
      << "listener " << scene.address << " " << scene.port << " {\n  proto tls\n  table names\n}\n"
      << "table names {\n";
  for (const Scene::Route& route : scene.routes) {
    std::string pattern;
    for (const char c : route.name) pattern += c == '.' ? std::string("\\.") : std::string(1, c);
    out << "  ^" << pattern << "$ " << route.backend << "\n";
  }
  out << "}\n";
  return out.str();
}

// The word after the last blank or slash of the first line with `mark`.
std::string version_word(const std::vector<std::string>& argv, const std::string& mark) {
  const auto said = run_tool(argv);
  if (!said) return "unknown";
  const std::size_t at = said->find(mark);
  if (at == std::string::npos) return "unknown";
  const std::size_t begin = at + mark.size();
  return said->substr(begin, said->find_first_of(" \n", begin) - begin);
}

std::string find_nginx_module() {
  for (const char* directory : {"/usr/lib/nginx/modules/", "/usr/lib64/nginx/modules/",
                                "/usr/share/nginx/modules/", "/etc/nginx/modules/"}) {
    const std::string file = std::string(directory) + "ngx_stream_module.so";
    if (::access(file.c_str(), R_OK) == 0) return file;
  }
  return {};
}

}  // namespace

std::vector<Proxy> planes(const std::string& program, bool privileged) {
  const auto arguments = [](const std::string& file) {
    return std::vector<std::string>{"--config", file};
  };
  const auto said = run_tool({program, "--version"});
  const std::string version = said ? said->substr(0, said->find('\n')) : std::string();
  std::vector<Proxy> all;
  const auto add = [&](const char* id, const char* title, const char* mode, bool as_remote,
                       const char* log_level = "warning") {
    all.push_back({.id = id,
                   .title = title,
                   .program = program,
                   .version = version,
                   .configuration = plane_configuration,
                   .arguments = arguments,
                   .plane = mode,
                   .as_remote = as_remote,
                   .log_level = log_level,
                   .module = {}});
  };
  add("userspace", "sni-proxy, userspace relay", "userspace", false);
  add("logged", "sni-proxy, userspace relay, access lines as by default", "userspace", false,
      "info");
  add("balanced", "sni-proxy, userspace relay, round_robin over four backends", "userspace", false);
  all.back().balanced = 4;
  add("observed", "sni-proxy, userspace relay, scraped each second and watched by top", "userspace",
      false);
  all.back().observed = true;
  if (!privileged) return all;
  add("packet", "sni-proxy, packet plane", "packet", false);
  add("sockhash", "sni-proxy, sockhash", "sockhash", false);
  add("sockhash-remote", "sni-proxy, sockhash, backend taken for a remote one", "sockhash", true);
  add("auto", "sni-proxy, auto", "auto", false);
  return all;
}

std::vector<Proxy> installed_peers() {
  std::vector<Proxy> found;
  if (const std::string program = find_program("haproxy"); !program.empty()) {
    const auto arguments = [](const std::string& file) {
      return std::vector<std::string>{"-db", "-f", file};
    };
    Proxy haproxy{.id = "haproxy",
                  .title = "HAProxy as it ships",
                  .program = program,
                  .version = version_word({program, "-v"}, "version "),
                  .configuration = haproxy_shipped,
                  .arguments = arguments,
                  .plane = {},
                  .module = {}};
    found.push_back(haproxy);
    haproxy.id = "haproxy-logged";
    haproxy.title = "HAProxy as it ships, with access lines";
    haproxy.configuration = haproxy_logged;
    found.push_back(haproxy);
    haproxy.id = "haproxy-tuned";
    haproxy.title = "HAProxy, splice and 64 KiB buffers";
    haproxy.configuration = haproxy_tuned;
    found.push_back(haproxy);
  }
  if (const std::string program = find_program("nginx"); !program.empty()) {
    const std::string module = find_nginx_module();
    const auto built = run_tool({program, "-V"});
    const bool built_in = built && built->find("--with-stream ") != std::string::npos;
    if (!module.empty() || built_in) {
      found.push_back({.id = "nginx",
                       .title = "nginx stream, ssl_preread, 64 KiB buffers",
                       .program = program,
                       .version = version_word({program, "-v"}, "nginx/"),
                       .configuration = nginx_tuned,
                       .arguments =
                           [](const std::string& file) {
                             return std::vector<std::string>{"-e", "stderr", "-c", file};
                           },
                       .plane = {},
                       .module = built_in ? std::string() : module});
    }
  }
  if (const std::string program = find_program("sniproxy"); !program.empty()) {
    found.push_back(
        {.id = "sniproxy",
         .title = "sniproxy as it ships",
         .program = program,
         .version = version_word({program, "-V"}, "sniproxy "),
         .configuration = sniproxy_shipped,
         .arguments =
             [](const std::string& file) { return std::vector<std::string>{"-f", "-c", file}; },
         .plane = {},
         .module = {}});
  }
  return found;
}

std::string control_socket(const Scene& scene) {
  return scene.directory + "/control.sock";
}

std::string metrics_socket(const Scene& scene) {
  return scene.directory + "/metrics.sock";
}

std::vector<std::string> prepare(const Proxy& proxy, const Scene& scene) {
  const std::string file = scene.directory + "/" + proxy.id + ".conf";
  std::ofstream(file) << proxy.configuration(proxy, scene);
  std::vector<std::string> argv = {proxy.program};
  for (std::string& argument : proxy.arguments(file)) argv.push_back(std::move(argument));
  return argv;
}

}  // namespace sni::bench
