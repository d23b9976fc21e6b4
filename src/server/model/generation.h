// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/run/engine.h"
#include "server/model/served_model.h"
#include "text/chat/conversation.h"
#include "text/reply/reply_parser.h"

namespace deepwell {

/// How to read a reply. Stop strings then count in the answer's text only, as in DeepSeek's API.
struct ReplyFormat {
  ReplyLanguage language = ReplyLanguage::kPlain;
  ReplyOptions options;
};

struct GenerationOptions {
  SamplingOptions sampling;
  std::int64_t max_tokens = -1;                   ///< -1: until the context is full
  std::vector<std::string> stop;                  ///< the text ends just before the first of these
  bool ignore_end = false;                        ///< go on after end tokens
  std::shared_ptr<TokenConstraint> constraint{};  ///< of this generation alone
  std::optional<ReplyFormat> reply{};  ///< a chat's: thinking and calls of tools are told from text
  std::string account{};               ///< whose it is, for fair shares; also keeps cached prefixes apart
  bool shared_prefixes = false;        ///< but those of all accounts are one
  int priority = 0;                    ///< lower first
  bool admitted = false;               ///< taken in before: a full queue does not refuse it
  std::optional<std::chrono::steady_clock::time_point> deadline{};
};

/// More of a reply, and the tokens whose text is out with it (only when logprobs were asked for).
struct TextPiece {
  std::vector<ReplyEvent> events;  ///< kText only, unless GenerationOptions::reply; may be empty
  std::vector<TokenOutput> tokens;
};

struct GenerationFinish {
  FinishReason reason = FinishReason::kStop;
  std::string stop;   ///< the stop string that ended it, or ""
  std::string error;  ///< for kError
  std::int64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;
  double queue_seconds = 0, prefill_seconds = 0, decode_seconds = 0;
  double estimated_queue_seconds = -1;  ///< -1: nobody was told
};

/// Where a generation's text goes. All calls come from the engine's thread, one at a time; be quick.
class GenerationListener {
 public:
  virtual ~GenerationListener() = default;
  virtual void on_text(TextPiece piece) = 0;
  virtual void on_progress(std::int64_t /*prompt_done*/, std::int64_t /*prompt_total*/) {}
  virtual void on_queue(const QueuePlace& /*place*/) {}
  /// A token was made, whether or not its text is out yet (for timing).
  virtual void on_token() {}
  /// The last call, exactly once; text held back came before it.
  virtual void on_finish(const GenerationFinish& finish) = 0;
};

/// Submits a prompt of tokens; the listener gets text. Returns the id for model.engine->cancel().
/// Errors: those of Engine::submit. The model must outlive the generation.
Result<std::uint64_t> start_generation(ServedModel& model, std::vector<Token> prompt,
                                       GenerationOptions options,
                                       std::shared_ptr<GenerationListener> listener);

struct GeneratedText {
  Message message{"assistant", {}};
  std::vector<TokenOutput> tokens;  ///< when logprobs were asked for
  GenerationFinish finish;
};
/// The same, waiting for the end; for tools and tests.
Result<GeneratedText> generate(ServedModel& model, std::vector<Token> prompt, GenerationOptions options);

}  // namespace deepwell
