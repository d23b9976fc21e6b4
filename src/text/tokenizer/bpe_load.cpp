// SPDX-License-Identifier: Apache-2.0
// From a foreign vocabulary to a tokenizer that can rely on it.
#include <algorithm>

#include "text/tokenizer/bpe_tokenizer.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/nfc.h"

namespace deepwell {
namespace {

constexpr std::size_t kTokenBytesMax = 1 << 16;
constexpr std::size_t kSpecialBytesMax = 1024;
constexpr std::size_t kAllBytesMax = std::size_t{1} << 30;

Error corrupt(const std::string& what) {
  return {ErrorCode::kCorrupt, "tokenizer: " + what + "; the file is damaged or was converted wrongly"};
}

std::string shown(std::string_view text) { return "'" + std::string(text.substr(0, 60)) + "'"; }

/// Texts that end a turn in one chat format or another, whatever the file says of them.
constexpr std::string_view kEndTexts[] = {
    "<|im_end|>",    "<|EOT|>", "<|eot_id|>",    "<|eom_id|>", "<|end_of_text|>",
    "<|endoftext|>", "<|end|>", "<end_of_turn>", "<|return|>", "<｜end▁of▁sentence｜>",
    "<｜User｜>"};  // no end in itself, but a reply that speaks for the user has to stop

}  // namespace

Result<std::unique_ptr<Tokenizer>> BpeTokenizer::make(Vocabulary vocabulary) {
  std::unique_ptr<BpeTokenizer> tokenizer(new BpeTokenizer(std::move(vocabulary)));
  DW_RETURN_IF_ERROR(tokenizer->check_tokens());
  DW_RETURN_IF_ERROR(tokenizer->check_ids());
  DW_RETURN_IF_ERROR(tokenizer->load_pretokenizer());
  DW_RETURN_IF_ERROR(tokenizer->load_merges());
  DW_RETURN_IF_ERROR(tokenizer->load_bytes());
  tokenizer->load_end_tokens();
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

Status BpeTokenizer::check_tokens() {
  const std::size_t count = vocabulary_.tokens.size();
  if (count == 0) return corrupt("the vocabulary is empty");
  if (count > MergeTable::kTokensMax)
    return Error{ErrorCode::kUnsupported, "tokenizer: " + std::to_string(count) + " tokens; at most " +
                                              std::to_string(MergeTable::kTokensMax) + " are supported"};
  if (!vocabulary_.types.empty() && vocabulary_.types.size() != count)
    return corrupt(std::to_string(vocabulary_.types.size()) + " token types for " + std::to_string(count) +
                   " tokens");
  if (vocabulary_.merges.size() >= MergeTable::kNoRank)
    return Error{ErrorCode::kUnsupported, "tokenizer: " + std::to_string(vocabulary_.merges.size()) +
                                              " merges; fewer than " + std::to_string(MergeTable::kNoRank) +
                                              " are supported"};
  std::size_t all = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto type = type_of(static_cast<Token>(i));
    const std::string& text = vocabulary_.tokens[i];
    if (type < TokenType::kNormal || type > TokenType::kByte)
      return corrupt("token " + std::to_string(i) + " has type " + std::to_string(static_cast<int>(type)) +
                     ", not one of 1 to 6");
    if (type == TokenType::kByte)
      return Error{ErrorCode::kUnsupported,
                   "tokenizer: token " + std::to_string(i) + " " + shown(text) +
                       " is a byte token of SentencePiece; only byte-level BPE is supported"};
    if (text.empty() && type != TokenType::kUnused)
      return corrupt("token " + std::to_string(i) + " is empty");
    if (text.size() > kTokenBytesMax || (is_special(static_cast<Token>(i)) && text.size() > kSpecialBytesMax))
      return corrupt("token " + std::to_string(i) + " has " + std::to_string(text.size()) + " bytes");
    all += text.size();
  }
  if (all > kAllBytesMax) return corrupt("the tokens have " + std::to_string(all) + " bytes");
  return Done{};
}

Status BpeTokenizer::check_ids() const {
  const Vocabulary& v = vocabulary_;
  const struct {
    const char* name;
    const std::optional<Token>& id;
  } all[] = {{"bos", v.bos},
             {"eos", v.eos},
             {"eot", v.eot},
             {"eom", v.eom},
             {"unknown", v.unknown},
             {"padding", v.padding},
             {"fim_prefix", v.fim_prefix},
             {"fim_suffix", v.fim_suffix},
             {"fim_middle", v.fim_middle}};
  for (const auto& [name, id] : all)
    if (id && (*id < 0 || *id >= size()))
      return corrupt(std::string("the ") + name + " token is " + std::to_string(*id) + ", but there are " +
                     std::to_string(size()) + " tokens");
  return Done{};
}

Status BpeTokenizer::load_pretokenizer() {
  using namespace pretokenizer;
  Name name;
  std::vector<std::string> patterns = vocabulary_.patterns;
  const PreTokenizer* pre = nullptr;
  if (vocabulary_.pre.empty() && patterns.empty()) vocabulary_.pre = "default";
  if (!vocabulary_.pre.empty()) {
    pre = pretokenizer::find(vocabulary_.pre, &name);
    if (!pre && patterns.empty())
      return Error{ErrorCode::kUnsupported, "tokenizer: unknown pre-tokenizer " + shown(vocabulary_.pre) +
                                                "; known are " + known_names()};
  }
  if (patterns.empty())
    for (const Scanner& scanner : pre->passes) patterns.emplace_back(scanner.pattern);
  ignore_merges_ = vocabulary_.ignore_merges || (pre && pre->ignore_merges && vocabulary_.patterns.empty());
  add_bos_ = vocabulary_.add_bos.value_or(name.add_bos);
  add_eos_ = vocabulary_.add_eos.value_or(false);
  DW_TRY(pieces_, Sequence::make(patterns));
  return Done{};
}

Status BpeTokenizer::load_merges() {
  const std::vector<std::string>& tokens = vocabulary_.tokens;
  const auto text_of = [&](Token t) -> std::string_view { return tokens[static_cast<std::size_t>(t)]; };
  TextIndex by_text(tokens.size());
  for (Token i = 0; i < size(); ++i) {
    if (type_of(i) == TokenType::kUnused) continue;  // padding rows, often alike
    if (const Token other = by_text.insert(text_of(i), i, text_of); other >= 0)
      return corrupt("tokens " + std::to_string(other) + " and " + std::to_string(i) + " are both " +
                     shown(text_of(i)));
  }
  merges_ = MergeTable(vocabulary_.merges.size());
  std::string merged;
  for (std::size_t i = 0; i < vocabulary_.merges.size(); ++i) {
    const std::string_view merge = vocabulary_.merges[i];
    const auto bad = [&](const std::string& why) {
      return corrupt("merge " + std::to_string(i) + " " + shown(merge) + " " + why);
    };
    // The alphabet has no blank, so the first one not at the front parts the two.
    const std::size_t blank = merge.find(' ', 1);
    if (blank == std::string_view::npos || blank + 1 == merge.size() || merge.size() > 2 * kTokenBytesMax)
      return bad("is not two tokens with a blank between");
    const std::string_view left = merge.substr(0, blank), right = merge.substr(blank + 1);
    const Token a = by_text.find(left, text_of), b = by_text.find(right, text_of);
    if (a < 0 || b < 0) return bad("joins " + shown(a < 0 ? left : right) + ", which is no token");
    merged.assign(left).append(right);
    const Token result = by_text.find(merged, text_of);
    if (result < 0) return bad("makes " + shown(merged) + ", which is no token");
    if (is_special(result) && byte_alphabet::bytes_of(merged) != merged)
      return bad("makes a special token whose text means other bytes");
    if (!merges_.add(a, b, result)) return bad("is there twice");
  }
  for (unsigned b = 0; b < 256; ++b) {
    const Token token = by_text.find(byte_alphabet::letter_of(static_cast<unsigned char>(b)), text_of);
    byte_tokens_.token[b] = token >= 0 && type_of(token) == TokenType::kNormal ? token : ByteTokens::kNone;
  }
  if (std::all_of(byte_tokens_.token.begin(), byte_tokens_.token.end(), [](Token t) { return t < 0; }))
    return Error{ErrorCode::kUnsupported,
                 "tokenizer: no token stands for a single byte; only byte-level BPE is supported"};
  return Done{};
}

Status BpeTokenizer::load_bytes() {
  const std::vector<std::string>& tokens = vocabulary_.tokens;
  bytes_at_.reserve(tokens.size() + 1);
  by_bytes_ = TextIndex(tokens.size());
  const auto text_of = [&](Token t) { return bytes_of(t); };
  std::size_t all = 0;
  for (const std::string& text : tokens) all += text.size();
  bytes_.reserve(all);
  for (Token i = 0; i < size(); ++i) {
    bytes_at_.push_back(bytes_.size());
    const std::string& text = tokens[static_cast<std::size_t>(i)];
    if (is_special(i) || !byte_alphabet::append_bytes_of(text, bytes_)) bytes_ += text;
  }
  bytes_at_.push_back(bytes_.size());
  std::vector<bool> composed(tokens.size());
  std::string memory;
  for (const Token t : vocabulary_.nfc_specials) {
    composed[static_cast<std::size_t>(t)] = true;
    nfc_special_.add(to_nfc(bytes_of(t), memory), t);
  }
  // Special ones first: where two tokens have the same bytes, a text such as "<think>" means the special one.
  for (const bool special : {true, false})
    for (Token i = 0; i < size(); ++i) {
      if (is_special(i) != special || type_of(i) == TokenType::kUnused) continue;
      by_bytes_.insert(bytes_of(i), i, text_of);
      if (special && !composed[static_cast<std::size_t>(i)]) special_.add(bytes_of(i), i);
    }
  return Done{};
}

void BpeTokenizer::load_end_tokens() {
  for (const auto& id : {vocabulary_.eos, vocabulary_.eot, vocabulary_.eom})
    if (id && !ends_generation(*id)) ends_.push_back(*id);
  for (const std::string_view text : kEndTexts)
    if (const auto id = find(text); id && is_special(*id) && !ends_generation(*id)) ends_.push_back(*id);
}

}  // namespace deepwell
