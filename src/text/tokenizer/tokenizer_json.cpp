// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/tokenizer_json.h"

#include <array>

#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/merge_table.h"
#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/regex_scan.h"
#include "text/tokenizer/tokenizer_json_sax.h"

namespace deepwell {
namespace {

using Json = nlohmann::json;

Error corrupt(const std::string& what) { return {ErrorCode::kCorrupt, "tokenizer.json: " + what}; }
Error unsupported(const std::string& what) {
  return {ErrorCode::kUnsupported, "tokenizer.json: " + what + " is not supported"};
}

/// The member, or null where there is none: both mean "not set" in these files.
const Json& member(const Json& object, const char* name) {
  static const Json kNone;
  const auto it = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && it != object.end() ? *it : kNone;
}
bool is_true(const Json& v) { return v.is_boolean() && v.get<bool>(); }
std::string text_of(const Json& v) {
  return v.is_string() ? v.get_ref<const std::string&>().substr(0, 100) : std::string();
}
std::string type_of(const Json& v) {
  const std::string type = text_of(member(v, "type"));
  return type.empty() ? "without a type" : "'" + type + "'";
}

Status check_model(const Json& model) {
  if (!model.is_object()) return corrupt("there is no model");
  const Json& type = member(model, "type");
  if (!type.is_null() && text_of(type) != "BPE") return unsupported("model " + type_of(model));
  const Json& dropout = member(model, "dropout");
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0))
    return unsupported("dropout");
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Json& v = member(model, name); !v.is_null() && !(v.is_string() && text_of(v).empty()))
      return unsupported(std::string("model.") + name);
  if (is_true(member(model, "byte_fallback"))) return unsupported("model.byte_fallback");
  return Done{};
}

/// NFC, alone or in sequences, is what there is: in vocabularies made by Qwen.
Status read_normalizer(const Json& normalizer, Vocabulary& v, int depth) {
  if (normalizer.is_null()) return Done{};
  const std::string type = text_of(member(normalizer, "type"));
  const Json& parts = member(normalizer, "normalizers");
  if (type == "NFC") {
    v.nfc = true;
    return Done{};
  }
  if (type != "Sequence" || !parts.is_array() || depth > 8)
    return unsupported("normalizer " + type_of(normalizer));
  for (const Json& part : parts) {
    if (!part.is_object()) return unsupported("normalizer " + type_of(part));
    DW_RETURN_IF_ERROR(read_normalizer(part, v, depth + 1));
  }
  return Done{};
}

struct PreTokenizers {
  std::vector<std::string> patterns;
  bool byte_level = false;
};

Status add_pretokenizer(const Json& step, PreTokenizers& out, int depth) {
  const std::string type = text_of(member(step, "type"));
  if (depth > 8) return unsupported("a pre_tokenizer nested that deep");
  if (type == "Sequence") {
    if (!member(step, "pretokenizers").is_array())
      return corrupt("pre_tokenizer Sequence without pretokenizers");
    for (const Json& part : member(step, "pretokenizers"))
      DW_RETURN_IF_ERROR(add_pretokenizer(part, out, depth + 1));
    return Done{};
  }
  if (out.byte_level) return unsupported("pre_tokenizer " + type_of(step) + " after ByteLevel");
  if (type == "Split") {
    const Json& pattern = member(step, "pattern");
    const Json &regex = member(pattern, "Regex"), &literal = member(pattern, "String");
    if (!regex.is_string() && !literal.is_string()) return corrupt("pre_tokenizer Split without a pattern");
    if (text_of(member(step, "behavior")) != "Isolated")
      return unsupported("pre_tokenizer Split with behavior '" + text_of(member(step, "behavior")) + "'");
    out.patterns.push_back(regex.is_string()
                               ? regex.get<std::string>()
                               : pretokenizer::quote_regex(literal.get_ref<const std::string&>()));
    return Done{};  // `invert` swaps matches and gaps, and both become pieces
  }
  if (type == "Digits") {
    out.patterns.emplace_back(is_true(member(step, "individual_digits")) ? pretokenizer::kDigits
                                                                         : pretokenizer::kDigitRuns);
    return Done{};
  }
  if (type == "ByteLevel") {
    const Json& prefix = member(step, "add_prefix_space");
    if (prefix.is_null() || is_true(prefix))
      return unsupported("pre_tokenizer ByteLevel with add_prefix_space");
    const Json& use_regex = member(step, "use_regex");
    if (use_regex.is_null() || is_true(use_regex))
      out.patterns.emplace_back(pretokenizer::find("gpt-2")->passes[0].pattern);
    out.byte_level = true;
    return Done{};
  }
  return unsupported("pre_tokenizer " + type_of(step));
}

/// Sets bos, eos and whether they are added.
Status read_post_processor(const Json& step, Vocabulary& v, int depth) {
  const std::string type = text_of(member(step, "type"));
  if (step.is_null() || type == "ByteLevel") return Done{};
  if (depth > 8) return unsupported("a post_processor nested that deep");
  if (type == "Sequence") {
    for (const Json& part : member(step, "processors"))
      DW_RETURN_IF_ERROR(read_post_processor(part, v, depth + 1));
    return Done{};
  }
  if (type != "TemplateProcessing" || !member(step, "single").is_array())
    return unsupported("post_processor " + type_of(step));
  bool text_seen = false;
  v.add_bos = v.add_eos = false;
  for (const Json& part : member(step, "single")) {
    if (!member(part, "Sequence").is_null()) {
      if (std::exchange(text_seen, true)) return unsupported("a post_processor that repeats the text");
      continue;
    }
    const std::string name = text_of(member(member(part, "SpecialToken"), "id"));
    const Json& ids = member(member(member(step, "special_tokens"), name.c_str()), "ids");
    if (name.empty() || !ids.is_array() || ids.size() != 1 || !ids[0].is_number_integer())
      return unsupported("a post_processor template with '" + name + "'");
    const auto id = ids[0].get<std::int64_t>();
    if (id < 0 || id >= static_cast<std::int64_t>(v.tokens.size()))
      return corrupt("the post_processor's token '" + name + "' has no such id as " + std::to_string(id));
    auto& add = text_seen ? v.add_eos : v.add_bos;
    if (*add) return unsupported("a post_processor that adds several tokens at one end");
    add = true;
    (text_seen ? v.eos : v.bos) = static_cast<Token>(id);
  }
  return Done{};
}

Status place_token(Vocabulary& v, std::string&& text, std::int64_t id, TokenType type) {
  if (id < 0 || id >= MergeTable::kTokensMax)
    return corrupt("token '" + text.substr(0, 60) + "' has id " + std::to_string(id) + "; ids go from 0 to " +
                   std::to_string(MergeTable::kTokensMax - 1));
  const auto i = static_cast<std::size_t>(id);
  if (i >= v.tokens.size()) {
    v.tokens.resize(i + 1);
    v.types.resize(i + 1, TokenType::kNormal);
  }
  if (!v.tokens[i].empty() && v.tokens[i] != text)
    return corrupt("id " + std::to_string(id) + " is both '" + v.tokens[i].substr(0, 60) + "' and '" +
                   text.substr(0, 60) + "'");
  v.tokens[i] = std::move(text);
  v.types[i] = type;
  return Done{};
}

Status place_added_tokens(Vocabulary& v, const Json& added) {
  if (added.is_null()) return Done{};
  if (!added.is_array()) return corrupt("added_tokens is no list");
  for (const Json& token : added) {
    const Json &content = member(token, "content"), &id = member(token, "id");
    if (!content.is_string() || content.get_ref<const std::string&>().empty() || !id.is_number_integer())
      return corrupt("an added token without content or id");
    for (const char* flag : {"single_word", "lstrip", "rstrip"})
      if (is_true(member(token, flag)))
        return unsupported("added token '" + text_of(content) + "' with " + flag);
    const TokenType type = is_true(member(token, "special")) ? TokenType::kControl : TokenType::kUserDefined;
    DW_RETURN_IF_ERROR(place_token(v, content.get<std::string>(), id.get<std::int64_t>(), type));
    if (v.nfc && is_true(member(token, "normalized"))) v.nfc_specials.push_back(id.get<Token>());
  }
  return Done{};
}

/// Without a token for unknown text, a character that is no token is dropped; with one, Hugging Face emits
/// it.
Status check_unknown(const Json& model, const Vocabulary& v) {
  if (member(model, "unk_token").is_null()) return Done{};
  std::array<bool, 256> seen{};
  for (std::size_t i = 0; i < v.tokens.size(); ++i)
    if (v.types[i] == TokenType::kNormal && v.tokens[i].size() <= 2)
      if (const auto bytes = byte_alphabet::bytes_of(v.tokens[i]); bytes && bytes->size() == 1)
        seen[static_cast<unsigned char>((*bytes)[0])] = true;
  for (const bool has : seen)
    if (!has) return unsupported("model.unk_token in a vocabulary that lacks some bytes");
  return Done{};
}

void guess_ends(Vocabulary& v) {
  const auto first_of = [&](std::initializer_list<std::string_view> texts) -> std::optional<Token> {
    for (const std::string_view text : texts)
      for (std::size_t i = 0; i < v.tokens.size(); ++i)
        if (v.types[i] == TokenType::kControl && v.tokens[i] == text) return static_cast<Token>(i);
    return std::nullopt;
  };
  if (!v.bos) v.bos = first_of({"<｜begin▁of▁sentence｜>", "<|begin_of_text|>"});
  if (!v.eos)
    v.eos =
        first_of({"<｜end▁of▁sentence｜>", "<|eot_id|>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>"});
}

}  // namespace

Result<Vocabulary> vocabulary_from_json(std::string_view json) {
  DW_TRY(TokenizerDocument document, parse_tokenizer_document(json));
  const Json& model = member(document.rest, "model");
  DW_RETURN_IF_ERROR(check_model(model));
  PreTokenizers pre;
  if (!member(document.rest, "pre_tokenizer").is_null())
    DW_RETURN_IF_ERROR(add_pretokenizer(member(document.rest, "pre_tokenizer"), pre, 0));
  if (!pre.byte_level) return unsupported("a pre_tokenizer without ByteLevel");
  const Json& decoder = member(document.rest, "decoder");
  if (!decoder.is_null() && text_of(member(decoder, "type")) != "ByteLevel")
    return unsupported("decoder " + type_of(decoder));

  Vocabulary v;
  DW_RETURN_IF_ERROR(read_normalizer(member(document.rest, "normalizer"), v, 0));
  const std::size_t expected = document.vocab.size() + member(document.rest, "added_tokens").size();
  v.tokens.reserve(expected);
  v.types.reserve(expected);
  for (auto& [text, id] : document.vocab) {
    if (text.empty()) return corrupt("model.vocab has an empty token");
    DW_RETURN_IF_ERROR(place_token(v, std::move(text), id, TokenType::kNormal));
  }
  DW_RETURN_IF_ERROR(place_added_tokens(v, member(document.rest, "added_tokens")));
  for (std::size_t i = 0; i < v.tokens.size(); ++i)
    if (v.tokens[i].empty())
      return corrupt("no token has id " + std::to_string(i) + ", but there are ids up to " +
                     std::to_string(v.tokens.size() - 1));
  v.merges = std::move(document.merges);
  v.ignore_merges = is_true(member(model, "ignore_merges"));
  if (const auto* known = pretokenizer::find(pre.patterns)) v.pre = known->names[0].name;
  v.patterns = std::move(pre.patterns);
  DW_RETURN_IF_ERROR(check_unknown(model, v));
  DW_RETURN_IF_ERROR(read_post_processor(member(document.rest, "post_processor"), v, 0));
  guess_ends(v);
  return v;
}

}  // namespace deepwell
