// SPDX-License-Identifier: Apache-2.0
// Any bytes as the body of a request in any dialect: a Request that keeps its promises, or a refusal that is
// valid JSON with a message.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "server/request/embedding_request.h"
#include "server/request/request.h"

namespace {
void judge(const deepwell::ApiResult<deepwell::Request>& result) {
  using namespace deepwell;
  if (!result.ok()) {
    DW_CHECK(result.error().status == 400);
    DW_CHECK(!result.error().message.empty());
    DW_CHECK(nlohmann::json::accept(to_json(result.error())));
    return;
  }
  const Request& request = *result;
  const SamplingOptions& sampling = request.generation.sampling;
  DW_CHECK(request.choices >= 1 && request.choices <= 64);
  DW_CHECK(sampling.temperature >= 0 && std::isfinite(sampling.temperature));
  DW_CHECK(sampling.top_k >= 0);
  DW_CHECK(sampling.top_p >= 0 && sampling.top_p <= 1);
  DW_CHECK(sampling.logprobs >= -1 && sampling.logprobs <= 20);
  DW_CHECK(request.generation.stop.size() <= 16);
  DW_CHECK(request.generation.max_tokens == -1 || request.generation.max_tokens >= 1);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  judge(deepwell::parse_chat_request(body));
  judge(deepwell::parse_completion_request(body));
  judge(deepwell::parse_messages_request(body));
  judge(deepwell::parse_ollama_chat(body));
  judge(deepwell::parse_ollama_generate(body));
  auto responses = deepwell::parse_responses_request(body);
  if (responses.ok()) {
    for (const std::string* echoed :
         {&responses->tools, &responses->tool_choice, &responses->format, &responses->metadata})
      DW_CHECK(nlohmann::json::accept(*echoed));
    judge(std::move(responses->request));
  } else {
    judge(responses.error());
  }
  for (const auto parse :
       {deepwell::parse_embedding_request, deepwell::parse_ollama_embed, deepwell::parse_ollama_embeddings}) {
    const auto embedding = parse(body);
    if (embedding.ok()) DW_CHECK(!embedding->inputs.empty() && embedding->inputs.size() <= 2048);
    if (!embedding.ok()) judge(embedding.error());
  }
  return 0;
}
