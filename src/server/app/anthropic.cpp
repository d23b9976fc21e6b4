// SPDX-License-Identifier: Apache-2.0
#include "server/app/anthropic.h"

#include "server/app/answer.h"

namespace deepwell {

std::string anthropic_error(const ApiError& error) {
  const char* type = error.status == 401                         ? "authentication_error"
                     : error.status == 403                       ? "permission_error"
                     : error.status == 404                       ? "not_found_error"
                     : error.status == 413                       ? "request_too_large"
                     : error.status == 429                       ? "rate_limit_error"
                     : error.status == 503                       ? "overloaded_error"
                     : error.status >= 400 && error.status < 500 ? "invalid_request_error"
                                                                 : "api_error";
  return dump({{"type", "error"}, {"error", {{"type", type}, {"message", error.message}}}});
}

}  // namespace deepwell
