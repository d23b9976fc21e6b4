// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>

#include "server/request/json_reader.h"
#include "server/request/request.h"
#include "server/request/sampling_fields.h"

namespace deepwell {
namespace {
using json = Json;
constexpr std::size_t kPromptsMax = 128;

bool read_tokens(const json& list, std::vector<Token>& out) {
  for (const json& one : list) {
    if (!one.is_number_integer()) return false;
    const auto id = one.get<std::int64_t>();
    if (id < 0 || id > std::numeric_limits<Token>::max()) return false;
    out.push_back(static_cast<Token>(id));
  }
  return true;
}

/// A string, a list of strings, a list of token ids, or a list of such lists.
void read_prompts(JsonReader& reader, Request& request) {
  const json* prompt = reader.any("prompt");
  if (!reader.ok()) return;
  if (prompt == nullptr) return reader.fail("prompt", "'prompt' is missing");
  const char* expected =
      "'prompt' must be a string, a list of strings, a list of token ids, or a list of such lists";
  if (prompt->is_string()) {
    request.prompts.emplace_back(prompt->get<std::string>());
    return;
  }
  if (!prompt->is_array() || prompt->empty()) return reader.fail("prompt", expected);
  if (prompt->front().is_number()) {
    std::vector<Token> tokens;
    if (!read_tokens(*prompt, tokens)) return reader.fail("prompt", expected);
    request.prompts.emplace_back(std::move(tokens));
    return;
  }
  if (prompt->size() > kPromptsMax) {
    return reader.fail("prompt", fmt::format("'prompt' takes at most {} prompts at once", kPromptsMax));
  }
  for (const json& one : *prompt) {
    if (one.is_string()) {
      request.prompts.emplace_back(one.get<std::string>());
      continue;
    }
    std::vector<Token> tokens;
    if (!one.is_array() || !read_tokens(one, tokens)) return reader.fail("prompt", expected);
    request.prompts.emplace_back(std::move(tokens));
  }
}

}  // namespace

ApiResult<Request> parse_completion_request(std::string_view body) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  Request request;
  read_common_fields(reader, request);
  read_prompts(reader, request);
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
