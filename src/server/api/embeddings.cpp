// SPDX-License-Identifier: Apache-2.0
// POST /v1/embeddings. Source: OpenAI API reference, "Create embeddings".
#include <fmt/format.h>

#include <bit>

#include "server/app/answer.h"
#include "server/app/embed.h"

namespace deepwell {
namespace {

/// The vector's floats, little-endian, in base64.
std::string base64_of(const std::vector<float>& vector) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes, out;
  for (const float x : vector)
    for (int shift = 0; shift < 32; shift += 8)
      bytes += static_cast<char>(std::bit_cast<std::uint32_t>(x) >> shift & 0xFF);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      out += i + j <= bytes.size() ? kDigits[three >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string write(const EmbeddingRequest& request, const Embeddings& made) {
  std::string data;
  for (std::size_t i = 0; i < made.vectors.size(); ++i) {
    const std::vector<float>& vector = made.vectors[i];
    data += fmt::format(R"({}{{"object":"embedding","index":{},"embedding":{}}})", i == 0 ? "" : ",", i,
                        request.base64 ? '"' + base64_of(vector) + '"' : json_list(vector));
  }
  return fmt::format(
      R"({{"object":"list","data":[{}],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})", data,
      dump(made.model), made.prompt_tokens, made.prompt_tokens);
}

void embeddings(const Call& call) {
  ApiResult<EmbeddingRequest> request = parse_embedding_request(call.take_body());
  if (!request) return call.reply_error(request.error());
  embed(call, std::move(*request), write);
}

}  // namespace

Endpoint endpoint_api_embeddings() { return {"POST", "/v1/embeddings", Access::kUser, embeddings}; }

}  // namespace deepwell
