// SPDX-License-Identifier: Apache-2.0
#include "server/model/open_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/config_json.h"
#include "text/tokenizer/alike.h"
#include "text/tokenizer/tokenizer_json.h"

namespace deepwell {
namespace fs = std::filesystem;
namespace {

// What a tokenizer.json can say and a GGUF cannot.
constexpr const char* kPatternsKey = "deepwell.tokenizer.patterns";
constexpr const char* kIgnoreMergesKey = "deepwell.tokenizer.ignore_merges";
constexpr std::int64_t kMostFileBytes = 256'000'000;

/// A JSON object that may be absent, but not broken.
Result<ConfigJson> optional_json(const fs::path& path) {
  auto read = read_config_json(path.string());
  if (!read.ok() && read.error().code == ErrorCode::kNotFound) return ConfigJson(path.string(), {});
  return read;
}

std::optional<Token> find_token(const Vocabulary& vocabulary, const std::string& text) {
  const auto found = std::ranges::find(vocabulary.tokens, text);
  if (text.empty() || found == vocabulary.tokens.end()) return std::nullopt;
  return static_cast<Token>(found - vocabulary.tokens.begin());
}

/// "bos_token": a text, or an object with one.
std::optional<Token> named_token(const Vocabulary& vocabulary, const ConfigJson& config, const char* name) {
  const auto text = config.text(name);
  return find_token(vocabulary, text ? *text : config.child(name).text("content").value_or(""));
}

/// tokenizer_config.json names the tokens at a text's ends; generation_config.json may name more that end a
/// reply.
void set_ends(Vocabulary& vocabulary, const ConfigJson& tokenizer, const ConfigJson& generation) {
  if (const auto bos = named_token(vocabulary, tokenizer, "bos_token")) vocabulary.bos = bos;
  if (const auto eos = named_token(vocabulary, tokenizer, "eos_token")) vocabulary.eos = eos;
  if (const auto pad = named_token(vocabulary, tokenizer, "pad_token")) vocabulary.padding = pad;
  if (const auto add = tokenizer.flag("add_bos_token"))
    vocabulary.add_bos = *add && vocabulary.bos.has_value();
  if (const auto add = tokenizer.flag("add_eos_token"))
    vocabulary.add_eos = *add && vocabulary.eos.has_value();
  const auto found = generation.object().find("eos_token_id");
  if (!generation.object().is_object() || found == generation.object().end() || !found->is_array()) return;
  for (const nlohmann::json& id : *found) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= vocabulary.tokens.size()) continue;
    const auto token = id.get<Token>();
    if (!vocabulary.eos)
      vocabulary.eos = token;
    else if (token != vocabulary.eos && !vocabulary.eot)
      vocabulary.eot = token;
    else if (token != vocabulary.eos && token != vocabulary.eot && !vocabulary.eom)
      vocabulary.eom = token;
  }
}

void write_vocabulary(Vocabulary vocabulary, Metadata& metadata) {
  const auto set = [&](const std::string& key, MetadataValue value) {
    metadata.values[key] = std::move(value);
  };
  const auto set_token = [&](const char* key, std::optional<Token> token) {
    if (token) set(fmt::format("tokenizer.ggml.{}_token_id", key), std::int64_t{*token});
  };
  set("tokenizer.ggml.model", std::string("gpt2"));
  set("tokenizer.ggml.pre", vocabulary.pre.empty() ? std::string("default") : vocabulary.pre);
  set(kPatternsKey, std::move(vocabulary.patterns));
  set(kIgnoreMergesKey, vocabulary.ignore_merges);
  std::vector<std::int64_t> types;
  for (const TokenType type : vocabulary.types) types.push_back(static_cast<std::int64_t>(type));
  set("tokenizer.ggml.token_type", std::move(types));
  set("tokenizer.ggml.tokens", std::move(vocabulary.tokens));
  set("tokenizer.ggml.merges", std::move(vocabulary.merges));
  set_token("bos", vocabulary.bos);
  set_token("eos", vocabulary.eos);
  set_token("eot", vocabulary.eot);
  set_token("eom", vocabulary.eom);
  set_token("unknown", vocabulary.unknown);
  set_token("padding", vocabulary.padding);
  if (vocabulary.add_bos) set("tokenizer.ggml.add_bos_token", *vocabulary.add_bos);
  if (vocabulary.add_eos) set("tokenizer.ggml.add_eos_token", *vocabulary.add_eos);
}

/// chat_template.jinja, or tokenizer_config.json's: a text, or a list of named ones.
Result<std::string> chat_template_of(const fs::path& folder, const ConfigJson& tokenizer) {
  auto file = read_small_file((folder / "chat_template.jinja").string(), kMostFileBytes);
  if (file.ok() || file.error().code != ErrorCode::kNotFound) return file;
  if (const auto text = tokenizer.text("chat_template")) return *text;
  const auto list = tokenizer.object().find("chat_template");
  if (list == tokenizer.object().end() || !list->is_array()) return std::string();
  for (const nlohmann::json& each : *list) {
    const ConfigJson entry(tokenizer.path(), each);
    if (entry.text("name") == "default") return entry.text("template").value_or("");
  }
  return std::string();
}

Result<Metadata> vocabulary_metadata(const fs::path& folder) {
  Metadata metadata;
  const fs::path path = folder / "tokenizer.json";
  auto text = read_small_file(path.string(), kMostFileBytes);
  if (!text.ok() && text.error().code == ErrorCode::kNotFound) return metadata;
  if (!text.ok()) return std::move(text).error();
  auto vocabulary = vocabulary_from_json(*text);
  if (!vocabulary.ok())
    return Error{vocabulary.error().code, fmt::format("{}: {}", folder.string(), vocabulary.error().message)};
  DW_TRY(const ConfigJson tokenizer, optional_json(folder / "tokenizer_config.json"));
  DW_TRY(const ConfigJson generation, optional_json(folder / "generation_config.json"));
  set_ends(*vocabulary, tokenizer, generation);
  // DeepSeek V4.1 looks up what tokens say; a GGUF keeps these numbers, a checkpoint does not.
  DW_TRY(const ConfigJson config, optional_json(folder / "config.json"));
  if (config.text("model_type").value_or("").starts_with("deepseek_v41")) {
    const std::vector<std::int32_t> numbers = numbers_of_alike(vocabulary->tokens);
    metadata.values["deepseek41.engram.token_map"] =
        std::vector<std::int64_t>(numbers.begin(), numbers.end());
  }
  write_vocabulary(std::move(*vocabulary), metadata);
  DW_TRY(std::string chat, chat_template_of(folder, tokenizer));
  if (!chat.empty()) metadata.values["tokenizer.chat_template"] = std::move(chat);
  return metadata;
}

}  // namespace

Result<std::unique_ptr<ModelFile>> open_model(const std::string& path) {
  const std::string folder = checkpoint_folder(path);
  if (folder.empty()) return open_gguf(path);
  DW_TRY(Metadata vocabulary, vocabulary_metadata(folder));
  return open_checkpoint(folder, std::move(vocabulary));
}

Result<Vocabulary> vocabulary_of(const Metadata& metadata) {
  const std::string kind = metadata.text("tokenizer.ggml.model").value_or("");
  if (kind != "gpt2") {
    return Error{ErrorCode::kUnsupported,
                 kind.empty()
                     ? "there is no vocabulary (tokenizer.ggml.model is absent, and so is a tokenizer.json)"
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
  if (const auto* patterns = metadata.texts(kPatternsKey); patterns != nullptr)
    vocabulary.patterns = *patterns;
  vocabulary.ignore_merges = metadata.flag(kIgnoreMergesKey).value_or(false);
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

}  // namespace deepwell
