// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/request/request.h"

namespace deepwell {

/// Texts whose meaning is wanted as vectors.
struct EmbeddingRequest {
  std::string model;  ///< "": the server's first
  std::vector<Request::RawPrompt> inputs;
  std::optional<Pooling> pooling{};      ///< nothing: what the model was made for
  std::int64_t dimensions = 0;           ///< only so many, the first; 0: all
  bool normalized = true;                ///< to length 1
  bool base64 = false;                   ///< of little-endian floats
  std::optional<double> idle_seconds{};  ///< how long the model stays afterwards
  bool truncate = false;                 ///< what is too long loses its end, instead of being refused
};

/// POST /v1/embeddings. Source: OpenAI API reference, "Create embeddings"; `pooling` is ours.
ApiResult<EmbeddingRequest> parse_embedding_request(std::string_view body);
/// POST /api/embed and the older POST /api/embeddings. Source: Ollama's docs, "API".
ApiResult<EmbeddingRequest> parse_ollama_embed(std::string_view body);
ApiResult<EmbeddingRequest> parse_ollama_embeddings(std::string_view body);

}  // namespace deepwell
