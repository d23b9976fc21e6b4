// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/request/raw_prompts.h"
#include "server/request/sampling_fields.h"

namespace deepwell {
namespace {
using json = Json;
constexpr std::size_t kPromptsMax = 128;

}  // namespace

ApiResult<Request> parse_completion_request(std::string_view body) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  Request request;
  read_common_fields(reader, request);
  read_raw_prompts(reader, "prompt", kPromptsMax, request.prompts);
  request.echo = reader.flag("echo").value_or(false);
  request.generation.max_tokens =
      reader.integer("max_tokens", 1, INT64_MAX).value_or(16);  // OpenAI's default
  if (const auto logprobs = reader.integer("logprobs", 0, 20)) {
    request.generation.sampling.logprobs = static_cast<int>(*logprobs);
    if (request.echo)
      reader.fail("logprobs", "'logprobs' with 'echo' is not supported: prompts are not scored");
  }
  if (const auto best_of = reader.integer("best_of", 1, 1024); best_of && *best_of != request.choices) {
    reader.fail("best_of", "'best_of' other than 'n' is not supported: every answer is returned");
  }
  request.suffix = reader.text("suffix").value_or("");
  if (!request.suffix.empty() && request.echo)
    reader.fail("echo",
                "'echo' with 'suffix' is not supported: the prompt stands on both sides of the answer");
  for (const Request::RawPrompt& prompt : request.prompts) {
    if (!request.suffix.empty() && !std::holds_alternative<std::string>(prompt))
      reader.fail("suffix", "'suffix' needs a prompt of text");
  }
  reader.finish();
  if (!reader.ok()) return reader.error();
  if (request.prompts.size() * static_cast<std::size_t>(request.choices) > kPromptsMax) {
    return invalid_field("n", fmt::format("prompts times 'n' must be at most {}", kPromptsMax));
  }
  return request;
}

}  // namespace deepwell
