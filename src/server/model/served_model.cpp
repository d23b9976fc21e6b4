// SPDX-License-Identifier: Apache-2.0
#include "server/model/served_model.h"

#include <chrono>
#include <filesystem>

#include "server/model/chat_language.h"
#include "server/model/open_model.h"

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

Result<std::shared_ptr<ServedModel>> load_served_model(const std::string& path, ServedModelOptions options,
                                                       const Engine::Progress& progress) {
  DW_TRY(std::unique_ptr<ModelFile> opened, open_model(path));
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

  // As llama.cpp's converters write it: 3 is the last token's.
  const auto pooling = file->metadata().integer(file->architecture() + ".pooling_type");
  if (pooling && *pooling == 3) model->pooling = Pooling::kLast;

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

  if (!options.draft_model.empty()) {
    DW_TRY(options.engine.draft_model, open_model(options.draft_model));
  }
  const Tokenizer* ends = model->tokenizer.get();
  Result<std::unique_ptr<Engine>> engine = Engine::load(
      file, options.engine, [ends](std::int32_t token) { return ends->ends_generation(token); }, progress);
  if (!engine) return at_path(engine.error());
  model->engine = std::move(*engine);
  return model;
}

}  // namespace deepwell
