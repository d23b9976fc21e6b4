// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

using Token = std::int32_t;

/// How a vocabulary entry came to be; numbered as in GGUF (tokenizer.ggml.token_type).
enum class TokenType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// A byte-level BPE vocabulary, wherever it was read from. Texts are in the GPT-2 byte alphabet.
struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<TokenType> types;     ///< as long as tokens, or empty: all normal
  std::vector<std::string> merges;  ///< "left right", best first
  std::string pre;                  ///< name of the pre-tokenizer: "smollm", "llama-bpe", "deepseek-v3", ...
  std::vector<std::string> patterns;  ///< regexes applied in turn instead of `pre` (tokenizer.json), or empty
  bool ignore_merges = false;         ///< a piece that is a token is taken whole
  bool nfc = false;                   ///< text between special tokens is composed (nfc.h) before it is cut
  std::vector<Token> nfc_specials;    ///< special tokens that are looked for in the composed text
  std::optional<bool> add_bos, add_eos;  ///< absent: the pre-tokenizer's default
  std::optional<Token> bos, eos, eot, eom, unknown, padding, fim_prefix, fim_suffix, fim_middle;
};

/// Text to tokens and back. Immutable after making; safe to share between threads.
class Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> from_vocabulary(Vocabulary vocabulary);
  /// `json` is the content of a tokenizer.json (Hugging Face tokenizers, type BPE, byte level).
  static Result<std::unique_ptr<Tokenizer>> from_json(std::string_view json);
  virtual ~Tokenizer() = default;

  struct EncodeOptions {
    bool parse_special = false;  ///< true: texts of control and user-defined tokens become those tokens
    bool add_special = false;    ///< true: bos/eos as the vocabulary wants
  };
  /// Any bytes, also broken UTF-8; never fails. decode(encode(x)) == x when nothing special is added
  /// and x is what the vocabulary's normalizer makes of it.
  ///
  /// A byte that is no part of valid UTF-8 is a symbol character of its own to the pre-tokenizer. Where the
  /// vocabulary has no token for a byte, that byte is dropped, as Hugging Face does; a byte that no UTF-8
  /// text can hold becomes U+FFFD instead (DeepSeek-LLM's vocabulary lacks just those). add_special never
  /// adds a bos that the text begins with already: chat templates write their own.
  virtual std::vector<Token> encode(std::string_view text, EncodeOptions options) const = 0;
  std::vector<Token> encode(std::string_view text) const { return encode(text, EncodeOptions{}); }

  /// The raw bytes of a token, possibly part of a character. `show_control` false: control tokens are "".
  /// Ids out of range give "".
  virtual std::string_view token_bytes(Token token, bool show_control = false) const = 0;
  std::string decode(std::span<const Token> tokens, bool show_control = false) const;

  virtual Token size() const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  virtual std::optional<Token> find(std::string_view text) const = 0;  ///< the token whose bytes are `text`
  /// Tokens that end a reply: eos, eot, eom, and known end-of-turn texts (<|im_end|>, <|EOT|>, ...).
  /// The mark of a user's turn (<｜User｜>) is one of them: a reply that speaks for the user has to stop.
  virtual bool ends_generation(Token token) const = 0;
};

}  // namespace deepwell
