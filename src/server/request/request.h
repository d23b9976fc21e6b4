// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/model/generation.h"
#include "server/model/prompt.h"
#include "server/request/api_error.h"

namespace deepwell {

/// What a client wants, whatever dialect it spoke. Nothing below this knows JSON.
struct Request {
  using RawPrompt = std::variant<std::string, std::vector<Token>>;

  std::string model;  ///< "": the server's first
  bool is_chat = false;
  Conversation chat;               ///< when is_chat
  std::vector<RawPrompt> prompts;  ///< when not; at least one
  int choices = 1;                 ///< answers to each prompt
  bool echo = false;               ///< the prompt comes back before the answer (raw only)
  bool stream = false;
  bool stream_usage = false;  ///< a last piece with the usage
  GenerationOptions generation;
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};  ///< texts; tokens need a vocabulary
};

/// POST /v1/chat/completions and POST /v1/completions. Source: OpenAI API reference, "Create chat completion"
/// and "Create completion"; sampling fields beyond it under vLLM's and llama.cpp's names.
/// Everything the fields ask for is in the Request; what cannot be done is refused by name.
ApiResult<Request> parse_chat_request(std::string_view body);
ApiResult<Request> parse_completion_request(std::string_view body);

}  // namespace deepwell
