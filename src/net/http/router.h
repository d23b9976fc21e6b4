// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http/exchange.h"

namespace deepwell::http {

/// Which handler a path and method belong to.
class Router {
 public:
  /// `pattern`: segments, "{name}" for one of any text; a last "{name...}" takes the rest, slashes too.
  /// `tag` is the caller's, to tell routes apart.
  void add(std::string method, std::string pattern, int tag);

  struct Match {
    int tag = -1;       ///< -1: nothing fits
    std::string allow;  ///< for 405 and OPTIONS: the path's methods; "" when the path is unknown
  };
  /// Fills request.captured. HEAD takes a GET route.
  Match find(Request& request) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    int tag;
  };
  std::vector<Route> routes_;
};

}  // namespace deepwell::http
