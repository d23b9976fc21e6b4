// SPDX-License-Identifier: Apache-2.0
// POST /beta/chat/completions and, for clients with a base address of /beta, DeepSeek's prefix completion:
// the same as under /v1, where a last message with "prefix": true is gone on with.
#include "server/app/endpoint.h"

namespace deepwell {

Endpoint endpoint_api_chat_completions();
Endpoint endpoint_api_beta_chat_completions() {
  Endpoint endpoint = endpoint_api_chat_completions();
  endpoint.path = "/beta/chat/completions";
  return endpoint;
}

}  // namespace deepwell
