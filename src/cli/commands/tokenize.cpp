// SPDX-License-Identifier: Apache-2.0
// deepwell tokenize: text to token ids, with any vocabulary: a model, a GGUF that holds only a vocabulary, or
// a directory with a tokenizer.json.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "server/model/open_model.h"
#include "store/store.h"

namespace deepwell {
namespace {

struct Flags {
  std::string model, text;
  bool special = false, bos = false, decode = false, pieces = false;
};

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path json = name;
  if (fs::is_directory(json, ignored)) json /= "tokenizer.json";
  if (json.extension() == ".json" && fs::exists(json, ignored)) {
    std::ifstream file(json, std::ios::binary);
    if (!file) return Error{ErrorCode::kIo, json.string() + ": cannot be read"};
    const std::string content(std::istreambuf_iterator<char>(file), {});
    return Tokenizer::from_json(content);
  }
  DW_TRY(const std::string path, resolve_model(name));
  DW_TRY(const std::unique_ptr<ModelFile> file, open_model(path));
  DW_TRY(Vocabulary vocabulary, vocabulary_of(file->metadata()));
  return Tokenizer::from_vocabulary(std::move(vocabulary));
}

Status run_tokenize(const Flags& flags, bool has_text) {
  DW_TRY(const std::unique_ptr<Tokenizer> tokenizer, open_tokenizer(flags.model));
  const std::string text = has_text ? flags.text : std::string(std::istreambuf_iterator<char>(std::cin), {});
  if (flags.decode) {
    const auto ids = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!ids.is_array()) return Error{ErrorCode::kInvalid, "--decode reads a JSON array of token ids"};
    std::vector<Token> tokens;
    for (const auto& id : ids) {
      if (!id.is_number_integer())
        return Error{ErrorCode::kInvalid, "--decode reads a JSON array of token ids"};
      tokens.push_back(id.get<Token>());
    }
    std::cout << tokenizer->decode(tokens, /*show_control=*/true) << std::flush;
    return Done{};
  }
  const std::vector<Token> tokens =
      tokenizer->encode(text, {.parse_special = flags.special, .add_special = flags.bos});
  if (flags.pieces) {
    for (Token token : tokens)
      std::cout << token << '\t'
                << nlohmann::json(tokenizer->token_bytes(token, true))
                       .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                << '\n';
  } else {
    std::cout << nlohmann::json(tokens).dump() << '\n';
  }
  std::cout << std::flush;
  return Done{};
}

}  // namespace

Command command_commands_tokenize() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("tokenize", "Print the token ids of a text");
    sub->add_option("MODEL", flags->model,
                    "A GGUF file (a vocabulary alone will do), a name in the store, or a directory with a "
                    "tokenizer.json")
        ->required();
    CLI::Option* text = sub->add_option("TEXT", flags->text, "The text; standard input when it is not given");
    sub->add_flag("--special", flags->special, "Texts of special tokens become those tokens");
    sub->add_flag("--bos", flags->bos, "Add begin and end tokens as the vocabulary wants them");
    sub->add_flag("--pieces", flags->pieces, "One line per token: id and text");
    sub->add_flag("--decode", flags->decode, "The reverse: a JSON array of ids to text");
    sub->footer(
        "Examples:\n"
        "  deepwell tokenize default 'Hello, world'\n"
        "  deepwell tokenize ./DeepSeek-V3 --special < prompt.txt\n"
        "  deepwell tokenize default --decode '[19556,28]'");
    return [flags, text] {
      const Status status = run_tokenize(*flags, text->count() > 0);
      if (status.ok()) return 0;
      std::cerr << "deepwell: " << status.error().message << '\n';
      return 1;
    };
  }};
}

}  // namespace deepwell
