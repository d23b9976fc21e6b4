// SPDX-License-Identifier: Apache-2.0
#include "net/http/router.h"

#include <algorithm>
#include <map>
#include <utility>

namespace deepwell::http {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> segments;
  if (!path.starts_with('/')) return segments;
  std::size_t start = 1;  // after the first slash
  while (start <= path.size()) {
    const std::size_t slash = std::min(path.find('/', start), path.size());
    segments.emplace_back(path.substr(start, slash - start));
    start = slash + 1;
  }
  return segments;
}

bool is_rest(std::string_view pattern) { return pattern.starts_with('{') && pattern.ends_with("...}"); }

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
          std::map<std::string, std::string>& captured) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (i >= path.size()) return false;
    if (is_rest(pattern[i])) {
      std::string rest = path[i];
      for (std::size_t j = i + 1; j < path.size(); ++j) rest += "/" + path[j];
      if (rest.empty()) return false;
      captured[pattern[i].substr(1, pattern[i].size() - 5)] = rest;
      return true;
    }
    if (pattern[i].starts_with('{')) {
      if (path[i].empty()) return false;
      captured[pattern[i].substr(1, pattern[i].size() - 2)] = path[i];
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return pattern.size() == path.size();
}

}  // namespace

void Router::add(std::string method, std::string pattern, int tag) {
  routes_.push_back({std::move(method), split(pattern), tag});
}

Router::Match Router::find(Request& request) const {
  Match match;
  const std::vector<std::string> path = split(request.path);
  const std::string_view wanted = request.method == "HEAD" ? std::string_view("GET") : request.method;
  for (const Route& route : routes_) {
    std::map<std::string, std::string> captured;
    if (!fits(route.segments, path, captured)) continue;
    match.allow += (match.allow.empty() ? "" : ", ") + route.method;
    if (route.method == "GET") match.allow += ", HEAD";
    if (route.method == wanted && match.tag < 0) {
      match.tag = route.tag;
      request.captured = std::move(captured);
    }
  }
  if (!match.allow.empty()) match.allow += ", OPTIONS";
  return match;
}

}  // namespace deepwell::http
