// SPDX-License-Identifier: Apache-2.0
#include "server/app/prepare.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/app/answer.h"
#include "text/grammar/reply_grammar.h"

namespace deepwell {
namespace {

/// Tokens that hold one of the texts: any of them ends a repeated run for DRY.
std::vector<Token> tokens_holding(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  std::vector<Token> found;
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const std::string_view bytes = tokenizer.token_bytes(token);
    for (const std::string& text : texts) {
      if (bytes.find(text) == std::string_view::npos) continue;
      found.push_back(token);
      break;
    }
  }
  return found;
}

/// Holds the answer to what was asked for: a format, calls of tools, a limit for thinking.
std::optional<ApiError> constrain(Request& request, const ServedModel& model, const ReplyStart& start,
                                  std::vector<std::unique_ptr<GrammarMatcher>>& matchers) {
  ReplyRules rules;
  rules.format = request.format;
  if (request.is_chat) {
    const ReplyLanguage own = model.chat->reply_language();
    rules.language = reply_language_of(model, request.chat);
    rules.start = start;
    rules.may_think = request.chat.thinking.value_or(true) && own != ReplyLanguage::kPlain &&
                      own != ReplyLanguage::kDeepSeekDsml && !start.continues &&
                      model.tokenizer->find("<think>").has_value();
    rules.tools = request.chat.tools;
    rules.choice = request.chat.tool_choice;
    rules.parallel = request.parallel_tools;
  }
  const char* field = request.format ? request.format_field.c_str() : "tools";
  const auto refused = [&](const Error& error) {
    return invalid_field(field, fmt::format("'{}' cannot be honoured: {}", field, error.message));
  };
  if (request.format && start.continues)
    return refused({ErrorCode::kInvalid, "an answer that was started elsewhere cannot be held to it"});
  const Result<std::optional<GrammarSource>> source = reply_grammar(rules, *model.tokenizer, *model.grammars);
  if (!source) return refused(source.error());
  if (!*source) return std::nullopt;
  if (request.format)  // by itself first: the refusal then speaks of it alone
    if (const Status fits = model.grammars->check(*request.format); !fits) return refused(fits.error());
  for (std::size_t i = 0;
       i < std::max<std::size_t>(1, request.prompts.size()) * static_cast<std::size_t>(request.choices);
       ++i) {
    Result<std::unique_ptr<GrammarMatcher>> matcher = model.grammars->compile(**source);
    if (!matcher) return refused(matcher.error());
    matchers.push_back(std::move(*matcher));
  }
  return std::nullopt;
}

}  // namespace

/// The prompts as tokens; for a chat also how its reply is read, in `request`.
ApiResult<std::vector<std::vector<Token>>> encode_prompts(Request& request, const ServedModel& model) {
  std::vector<std::vector<Token>> prompts;
  if (request.is_chat) {
    Result<ChatTokens> chat = encode_chat(model, request.chat);
    if (!chat) {
      ApiError error = to_api_error(chat.error());
      error.param = "messages";
      return error;
    }
    const bool tools =
        !request.chat.tools.empty() && request.chat.tool_choice.kind != ToolChoice::Kind::kNone;
    const ReplyLanguage language = reply_language_of(model, request.chat);
    request.generation.reply = ReplyFormat{language, {chat->start, tools, random_id()}};
    prompts.push_back(std::move(chat->tokens));
  }
  for (const Request::RawPrompt& prompt : request.prompts) {
    if (const auto* text = std::get_if<std::string>(&prompt); text != nullptr && !request.suffix.empty()) {
      Result<std::vector<Token>> gap = encode_gap(*model.tokenizer, *text, request.suffix);
      if (!gap)
        return invalid_field("suffix", fmt::format("'suffix' cannot be honoured: {}", gap.error().message));
      prompts.push_back(std::move(*gap));
    } else if (text != nullptr) {
      prompts.push_back(encode_raw(*model.tokenizer, *text));
    } else {
      prompts.push_back(std::get<std::vector<Token>>(prompt));
    }
  }
  for (const std::vector<Token>& prompt : prompts) {
    if (const auto wrong = wrong_prompt(prompt, model, request.is_chat ? "messages" : "prompt"))
      return *wrong;
  }
  return prompts;
}

std::optional<ApiError> wrong_prompt(const std::vector<Token>& prompt, const ServedModel& model,
                                     const char* field) {
  const EngineInfo& info = model.engine->info();
  if (prompt.empty()) return invalid_field(field, "the prompt is empty; send at least one character");
  const auto size = static_cast<std::int64_t>(prompt.size());
  if (size >= info.context) {
    ApiError error = invalid_field(
        field, fmt::format("the prompt has {} tokens; this model's context holds {} including the answer. "
                           "Shorten the prompt, or start the server with a larger --context",
                           size, info.context));
    error.code = "context_length_exceeded";
    return error;
  }
  for (const Token token : prompt) {
    if (token < 0 || token >= info.vocabulary)
      return invalid_field(
          field, fmt::format("token {} is not in the vocabulary of {} tokens", token, info.vocabulary));
  }
  return std::nullopt;
}

ApiResult<PreparedAnswer> prepare(Request& request, const ServedModel& model) {
  PreparedAnswer prepared;
  ApiResult<std::vector<std::vector<Token>>> prompts = encode_prompts(request, model);
  if (!prompts) return prompts.error();
  prepared.prompts = std::move(*prompts);
  for (const auto& [token, bias] : request.generation.sampling.logit_bias) {
    if (token >= model.engine->info().vocabulary) {
      return invalid_field("logit_bias",
                           fmt::format("'logit_bias' names token {}, which the vocabulary of {} tokens lacks",
                                       token, model.engine->info().vocabulary));
    }
  }
  if (request.generation.sampling.dry_multiplier > 0)
    request.generation.sampling.dry_breakers = tokens_holding(*model.tokenizer, request.dry_breakers);
  const ReplyStart start = request.generation.reply ? request.generation.reply->options.start : ReplyStart();
  if (const auto refusal = constrain(request, model, start, prepared.matchers)) return *refusal;
  return prepared;
}

}  // namespace deepwell
