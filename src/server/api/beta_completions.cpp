// SPDX-License-Identifier: Apache-2.0
// POST /beta/completions: DeepSeek's filling in the middle, the same as under /v1 with a 'suffix'.
#include "server/app/endpoint.h"

namespace deepwell {

Endpoint endpoint_api_completions();
Endpoint endpoint_api_beta_completions() {
  Endpoint endpoint = endpoint_api_completions();
  endpoint.path = "/beta/completions";
  return endpoint;
}

}  // namespace deepwell
