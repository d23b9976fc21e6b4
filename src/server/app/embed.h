// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "server/app/endpoint.h"
#include "server/request/embedding_request.h"

namespace deepwell {

struct Embeddings {
  std::string model;                        ///< as the client called it
  std::vector<std::vector<float>> vectors;  ///< one an input, in their order
  std::int64_t prompt_tokens = 0;
  double seconds = 0;
};
/// Writes the reply's body.
using WriteEmbeddings = std::function<std::string(const EmbeddingRequest& request, const Embeddings& made)>;

/// Numbers as short as they come back the same; null for what is none.
std::string json_list(const std::vector<float>& vector);

/// Runs the request and answers the call. Inputs go to the engine a few at a time, so that a long list is
/// one user among others; cancels when the client leaves.
void embed(const Call& call, EmbeddingRequest request, WriteEmbeddings write);

}  // namespace deepwell
