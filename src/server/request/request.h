// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/model/generation.h"
#include "server/model/prompt.h"
#include "server/request/api_error.h"
#include "text/grammar/grammar.h"

namespace deepwell {

/// What a client wants, whatever dialect it spoke. Nothing below this knows JSON.
struct Request {
  using RawPrompt = std::variant<std::string, std::vector<Token>>;

  std::string model;  ///< "": the server's first
  bool is_chat = false;
  Conversation chat;               ///< when is_chat
  std::vector<RawPrompt> prompts;  ///< when not; at least one
  std::string suffix{};            ///< raw: the text after the gap that is to be filled
  int choices = 1;                 ///< answers to each prompt
  bool echo = false;               ///< the prompt comes back before the answer (raw only)
  bool stream = false;
  std::optional<double>
      idle_seconds{};         ///< how long the model stays afterwards; nothing: the server's; -1: for good
  bool stream_usage = false;  ///< a last piece with the usage
  std::optional<GrammarSource> format;    ///< of the answer's text
  std::string format_field;               ///< where it was asked for: a refusal names it
  bool parallel_tools = true;             ///< an answer may call more than one tool
  std::int64_t thinking_tokens_max = -1;  ///< then the answer comes; -1: no limit
  GenerationOptions generation;
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};  ///< texts; tokens need a vocabulary
};

/// POST /v1/chat/completions and POST /v1/completions. Source: OpenAI API reference, "Create chat completion"
/// and "Create completion"; sampling fields beyond it under vLLM's and llama.cpp's names.
/// Everything the fields ask for is in the Request; what cannot be done is refused by name.
ApiResult<Request> parse_chat_request(std::string_view body);
ApiResult<Request> parse_completion_request(std::string_view body);
/// POST /v1/messages, and count_tokens (`counting`: max_tokens may be absent). Source: Anthropic API
/// reference, "Create a Message".
ApiResult<Request> parse_messages_request(std::string_view body, bool counting = false);
/// POST /api/chat and POST /api/generate. Source: Ollama's docs, "API".
ApiResult<Request> parse_ollama_chat(std::string_view body);
ApiResult<Request> parse_ollama_generate(std::string_view body);

/// POST /v1/responses. Source: OpenAI API reference, "Create a model response".
struct ResponsesRequest {
  Request request;           ///< without the turns of the response it follows
  std::string instructions;  ///< also the first message, when not ""
  std::string previous;      ///< the id of the response it follows, or ""
  bool store = true;
  bool background = false;  ///< nobody waits for the answer: it is fetched later
  std::string tools = "[]", tool_choice = "\"auto\"", format = R"({"type":"text"})",
              metadata = "{}";  ///< JSON, for the echo
};
ApiResult<ResponsesRequest> parse_responses_request(std::string_view body);

}  // namespace deepwell
