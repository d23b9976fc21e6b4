// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/app/endpoint.h"
#include "server/request/request.h"

namespace deepwell {

struct AnswerHead {
  std::string id;
  std::int64_t created_unix_seconds = 0;
  std::string model;
};

struct Usage {
  std::int64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;
};

/// One answer among the choices of a request, complete.
struct Choice {
  Message message{"assistant", {}};
  std::vector<TokenOutput> tokens;  ///< when logprobs were asked for
  GenerationFinish finish;
};

/// How an API writes answers as JSON. One object an answer: it may keep state between pieces.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual const char* id_prefix() const = 0;  ///< "chatcmpl-"
  virtual nlohmann::json whole(const AnswerHead& head, const std::vector<Choice>& choices,
                               const Usage& usage) = 0;
  /// The pieces of a stream; null where the dialect sends none.
  virtual nlohmann::json opening(const AnswerHead& head, int choice) = 0;
  virtual std::vector<nlohmann::json> piece(const AnswerHead& head, int choice, const TextPiece& piece) = 0;
  virtual nlohmann::json closing(const AnswerHead& head, int choice, const GenerationFinish& finish) = 0;
  virtual nlohmann::json usage(const AnswerHead& head, const Usage& usage) = 0;
};

/// Makes the dialect once the model is known.
using MakeDialect = std::unique_ptr<Dialect> (*)(const Request& request, const Tokenizer& tokenizer);

/// Runs the request and answers the call: prompts to tokens, every choice to the engine, text back as it
/// comes or all at the end; cancels when the client leaves.
void answer(const Call& call, Request request, MakeDialect make_dialect);

/// "stop", "length" or, for what has no name in OpenAI's API, "error".
const char* finish_name(FinishReason reason);
nlohmann::json to_json(const Usage& usage);
std::string dump(const nlohmann::json& value);

}  // namespace deepwell
