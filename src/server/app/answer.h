// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/app/endpoint.h"
#include "server/app/prepare.h"
#include "server/app/with_model.h"
#include "server/request/request.h"

namespace deepwell {

struct AnswerHead {
  std::string id;
  std::int64_t created_unix_seconds = 0;
  std::string model;
  std::int64_t prompt_tokens = 0;
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

/// How an API writes answers. One object an answer: it keeps state between pieces.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual const char* id_prefix() const = 0;  ///< "chatcmpl-"
  virtual nlohmann::json whole(const AnswerHead& head, const std::vector<Choice>& choices,
                               const Usage& usage) = 0;
  /// The bytes of a stream; "" where the dialect sends none.
  virtual std::string opening(const AnswerHead& head, int choice) = 0;
  virtual std::string piece(const AnswerHead& head, int choice, const TextPiece& piece) = 0;
  virtual std::string closing(const AnswerHead& head, int choice, const GenerationFinish& finish) = 0;
  virtual std::string ending(const AnswerHead& head,
                             const Usage& usage) = 0;  ///< after every choice's closing
  virtual std::string failure(const AnswerHead& head, const ApiError& error) = 0;  ///< instead of the rest
};

/// Makes the dialect once the model is known.
using MakeDialect = std::function<std::unique_ptr<Dialect>(const Request& request, const ServedModel& model)>;

/// Runs the request and answers the call: a model is loaded for it if need be, prompts to tokens, every
/// choice to the engine, text back as it comes or all at the end; cancels when the client leaves.
void answer(const Call& call, Request request, MakeDialect make_dialect,
            std::string_view stream_type = kEventStream);

/// What the client hears when the engine did not take its request; a full queue is counted.
ApiError refusal_of(const Call& call, const ServedModel& model, const Error& error);

/// "stop", "length" or, for what has no name in OpenAI's API, "error".
const char* finish_name(FinishReason reason);
nlohmann::json to_json(const Usage& usage);
std::string dump(const nlohmann::json& value);
std::string random_id();  ///< 24 letters
std::int64_t unix_seconds_now();

}  // namespace deepwell
