// SPDX-License-Identifier: Apache-2.0
// POST /v1/prefix/explain: how much of a request's prompt is in the cache, and where it parts from the
// earlier prompt of the same API key that it resembles most. The body is a request of /v1/chat/completions or
// /v1/completions; nothing is generated.
#include "server/app/answer.h"
#include "server/app/token_text.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {
using nlohmann::json;
constexpr std::size_t kShownTokens = 24;

/// Up to so many tokens from `first` on, as text.
std::string text_of(const Tokenizer& tokenizer, const std::vector<Token>& tokens, std::size_t first,
                    std::size_t last) {
  std::string bytes;
  for (std::size_t i = first; i < std::min(last, tokens.size()); ++i)
    bytes += tokenizer.token_bytes(tokens[i], /*show_control=*/true);
  return readable(bytes);
}

json parting(const Tokenizer& tokenizer, const std::vector<Token>& prompt,
             const RecentPrompts::Closest& closest) {
  const std::size_t at = closest.common;
  const std::vector<Token>& other = closest.prompt.tokens;
  return {{"request", closest.prompt.request},
          {"prompt_tokens", other.size()},
          {"common_tokens", at},
          {"common_characters", characters_in(text_of(tokenizer, prompt, 0, at))},
          {"before", text_of(tokenizer, prompt, at - std::min(at, kShownTokens), at)},
          {"here", text_of(tokenizer, prompt, at, at + kShownTokens)},
          {"there", text_of(tokenizer, other, at, at + kShownTokens)}};
}

void write(const Call& call, const ServedModel& model, const std::vector<Token>& prompt,
           std::int64_t cached) {
  const auto closest = call.service.prompts.closest(call.user, model.id, prompt);
  call.reply_json(dump({{"object", "prefix.explanation"},
                        {"model", model.id},
                        {"prompt_tokens", prompt.size()},
                        {"cached_tokens", cached},
                        {"closest", closest ? parting(*model.tokenizer, prompt, *closest) : json(nullptr)}}));
}

void prefix_explain(const Call& call) {
  const std::string body = call.take_body();
  const ApiResult<Json> parsed = parse_body(body);
  if (!parsed) return call.reply_error(parsed.error());
  const bool is_chat = parsed->is_object() && parsed->contains("messages");
  ApiResult<Request> request = is_chat ? parse_chat_request(body) : parse_completion_request(body);
  if (!request) return call.reply_error(request.error());
  const ModelWish wish{request->model};  // before the request moves away
  with_model(call, wish, [call, wanted = std::move(*request)](ModelUse model) mutable {
    const ApiResult<std::vector<std::vector<Token>>> prompts = encode_prompts(wanted, *model);
    if (!prompts) return call.reply_error(prompts.error());
    const auto use = std::make_shared<ModelUse>(std::move(model));
    const std::string space = call.service.shares_prefixes() ? "" : call.user;
    (*use)->engine->look_up(
        prompts->front(), space,
        [call, use, prompt = prompts->front()](std::int64_t cached) { write(call, **use, prompt, cached); });
  });
}

}  // namespace

Endpoint endpoint_api_prefix_explain() {
  return {"POST", "/v1/prefix/explain", Access::kUser, prefix_explain};
}

}  // namespace deepwell
