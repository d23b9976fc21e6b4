// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/formats/model_file.h"
#include "engine/run/engine.h"
#include "text/chat/prompt_encoder.h"
#include "text/grammar/grammar.h"
#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// A model that can answer: its engine and the text tools that belong to it. Shared by the server and the
/// command line. Everything in it may be used from any thread.
struct ServedModel {
  std::string id;    ///< the name clients use
  std::string path;  ///< of the file it came from
  std::int64_t created_unix_seconds = 0;
  std::unique_ptr<const Tokenizer> tokenizer;
  Pooling pooling = Pooling::kMean;           ///< of its vectors, where a request does not say
  std::unique_ptr<const PromptEncoder> chat;  ///< nullptr: not made for chat; raw completions still work
  std::unique_ptr<const GrammarCompiler> grammars;  ///< over the tokenizer
  std::unique_ptr<Engine> engine;                   ///< last member: it stops before the rest goes
};

struct ServedModelOptions {
  std::string id;             ///< "": the file's general.name, or else its file name
  std::string chat_template;  ///< "": what fits the model; else a language's name or Jinja source
  std::string draft_model;    ///< path of a smaller model that drafts; "": none
  EngineOptions engine;
};

/// Opens the GGUF file or checkpoint directory at `path` and makes all of it ready. Errors name the path and
/// what to do.
Result<std::shared_ptr<ServedModel>> load_served_model(const std::string& path, ServedModelOptions options,
                                                       const Engine::Progress& progress = {});

}  // namespace deepwell
