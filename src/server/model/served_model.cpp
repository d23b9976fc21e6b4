// SPDX-License-Identifier: Apache-2.0
#include "server/model/served_model.h"

#include <chrono>
#include <filesystem>

#include "server/model/chat_language.h"

namespace deepwell {
namespace {

std::string id_of(const ModelFile& file) {
  std::string id = file.metadata().text("general.name").value_or("");
  if (id.empty()) id = std::filesystem::path(file.path()).stem().string();
  for (char& c : id) {
    if (c == ' ' || static_cast<unsigned char>(c) < 0x20) c = '-';
  }
  return id;
}

}  // namespace

Result<Vocabulary> vocabulary_of(const Metadata& metadata) {
  const std::string kind = metadata.text("tokenizer.ggml.model").value_or("");
  if (kind != "gpt2") {
    return Error{ErrorCode::kUnsupported,
                 kind.empty()
                     ? "the file has no vocabulary (tokenizer.ggml.model is absent)"
                     : "the vocabulary is of kind '" + kind + "'; only byte-level BPE ('gpt2') is known"};
  }
  Vocabulary vocabulary;
  const std::vector<std::string>* tokens = metadata.texts("tokenizer.ggml.tokens");
  if (tokens == nullptr || tokens->empty()) {
    return Error{ErrorCode::kCorrupt, "tokenizer.ggml.tokens is absent or empty; fetch the file again"};
  }
  vocabulary.tokens = *tokens;
  if (const auto* merges = metadata.texts("tokenizer.ggml.merges"); merges != nullptr)
    vocabulary.merges = *merges;
  const std::vector<std::int64_t> types = metadata.integers("tokenizer.ggml.token_type");
  if (!types.empty() && types.size() != tokens->size()) {
    return Error{ErrorCode::kCorrupt, "tokenizer.ggml.token_type has " + std::to_string(types.size()) +
                                          " entries for " + std::to_string(tokens->size()) + " tokens"};
  }
  vocabulary.types.reserve(types.size());
  for (const std::int64_t type : types) {
    vocabulary.types.push_back(type >= 1 && type <= 6 ? static_cast<TokenType>(type) : TokenType::kNormal);
  }
  vocabulary.pre = metadata.text("tokenizer.ggml.pre").value_or("default");
  vocabulary.add_bos = metadata.flag("tokenizer.ggml.add_bos_token");
  vocabulary.add_eos = metadata.flag("tokenizer.ggml.add_eos_token");
  const auto id = [&](const char* key) -> std::optional<Token> {
    const auto value = metadata.integer(key);
    if (!value || *value < 0 || *value >= static_cast<std::int64_t>(tokens->size())) return std::nullopt;
    return static_cast<Token>(*value);
  };
  vocabulary.bos = id("tokenizer.ggml.bos_token_id");
  vocabulary.eos = id("tokenizer.ggml.eos_token_id");
  vocabulary.eot = id("tokenizer.ggml.eot_token_id");
  vocabulary.eom = id("tokenizer.ggml.eom_token_id");
  vocabulary.unknown = id("tokenizer.ggml.unknown_token_id");
  vocabulary.padding = id("tokenizer.ggml.padding_token_id");
  vocabulary.fim_prefix = id("tokenizer.ggml.fim_pre_token_id");
  vocabulary.fim_suffix = id("tokenizer.ggml.fim_suf_token_id");
  vocabulary.fim_middle = id("tokenizer.ggml.fim_mid_token_id");
  return vocabulary;
}

Result<std::shared_ptr<ServedModel>> load_served_model(const std::string& path, ServedModelOptions options,
                                                       const Engine::Progress& progress) {
  DW_TRY(std::unique_ptr<ModelFile> opened, open_gguf(path));
  const std::shared_ptr<const ModelFile> file = std::move(opened);
  const auto at_path = [&path](Error error) {
    if (error.message.find(path) == std::string::npos) error.message = path + ": " + error.message;
    return error;
  };

  auto model = std::make_shared<ServedModel>();
  model->path = path;
  model->id = options.id.empty() ? id_of(*file) : options.id;
  model->created_unix_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();

  Result<Vocabulary> vocabulary = vocabulary_of(file->metadata());
  if (!vocabulary) return at_path(vocabulary.error());
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::from_vocabulary(std::move(*vocabulary));
  if (!tokenizer) return at_path(tokenizer.error());
  model->tokenizer = std::move(*tokenizer);
  model->grammars = std::make_unique<GrammarCompiler>(*model->tokenizer);

  Result<std::unique_ptr<const PromptEncoder>> chat =
      chat_language_of(options.chat_template, file->metadata(), *model->tokenizer);
  if (!chat) return at_path({chat.error().code, "chat template: " + chat.error().message});
  model->chat = std::move(*chat);

  const Tokenizer* ends = model->tokenizer.get();
  Result<std::unique_ptr<Engine>> engine = Engine::load(
      file, options.engine, [ends](std::int32_t token) { return ends->ends_generation(token); }, progress);
  if (!engine) return at_path(engine.error());
  model->engine = std::move(*engine);
  return model;
}

}  // namespace deepwell
