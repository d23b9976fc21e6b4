// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/grammar.h"

#include <list>
#include <mutex>
#include <optional>
#include <vector>

#include "text/rust/view.h"

namespace deepwell {
namespace {
using rust::Failure;
using rust::view_of;

struct FreeVocabulary {
  void operator()(dw_grammar_vocabulary* vocabulary) const { dw_grammar_vocabulary_free(vocabulary); }
};
struct FreeGrammar {
  void operator()(dw_grammar* grammar) const { dw_grammar_free(grammar); }
};
using VocabularyHandle = std::unique_ptr<dw_grammar_vocabulary, FreeVocabulary>;
using GrammarHandle = std::unique_ptr<dw_grammar, FreeGrammar>;

Result<VocabularyHandle> make_vocabulary(const Tokenizer& tokenizer) {
  const std::vector<TokenType>& types = tokenizer.vocabulary().types;
  std::vector<dw_grammar_token> tokens(static_cast<std::size_t>(tokenizer.size()));
  std::vector<std::uint32_t> ends;
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const auto index = static_cast<std::size_t>(token);
    const TokenType type = index < types.size() ? types[index] : TokenType::kNormal;
    const bool end = tokenizer.ends_generation(token);
    const bool text =
        type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kByte;
    const bool control = end || type == TokenType::kControl;
    // A token that is neither text nor control can never be chosen: it has no bytes.
    const std::string_view bytes =
        text || control ? tokenizer.token_bytes(token, /*show_control=*/true) : std::string_view();
    tokens[index] = {view_of(bytes), control ? 1 : 0};
    if (end) ends.push_back(static_cast<std::uint32_t>(token));
  }
  Failure failure;
  VocabularyHandle handle(
      dw_grammar_vocabulary_make(tokens.data(), tokens.size(), ends.data(), ends.size(), failure.out()));
  if (handle == nullptr) return Error{ErrorCode::kUnsupported, failure.error().message};
  return handle;
}

class RustMatcher final : public GrammarMatcher {
 public:
  explicit RustMatcher(GrammarHandle handle) : handle_(std::move(handle)) {}

  Status mask(std::span<std::uint32_t> allowed) override {
    Failure failure;
    if (dw_grammar_mask(handle_.get(), allowed.data(), allowed.size(), failure.out()) == 0)
      return failure.error();
    return Done{};
  }
  Status accept(Token token) override {
    Failure failure;
    if (token < 0 || dw_grammar_accept(handle_.get(), static_cast<std::uint32_t>(token), failure.out()) == 0)
      return failure.error();
    return Done{};
  }
  bool finished() const override { return dw_grammar_finished(handle_.get()) != 0; }
  bool may_end() override { return dw_grammar_may_end(handle_.get()) != 0; }
  Result<std::unique_ptr<GrammarMatcher>> copy() const override {
    Failure failure;
    GrammarHandle other(dw_grammar_copy(handle_.get(), failure.out()));
    if (other == nullptr) return failure.error();
    return std::unique_ptr<GrammarMatcher>(std::make_unique<RustMatcher>(std::move(other)));
  }

 private:
  GrammarHandle handle_;
};

}  // namespace

/// Compiled grammars, the longest unused goes first. `prototype` is only ever copied.
struct GrammarCompiler::Impl {
  static constexpr std::size_t kRememberedMax = 128, kRememberedBytesMax = 8U << 20;
  struct Entry {
    std::string key;
    std::shared_ptr<const GrammarMatcher> prototype;  // nullptr: refused
    std::string refusal;
  };

  explicit Impl(const Tokenizer& given) : tokenizer(given) {}
  Result<std::shared_ptr<const GrammarMatcher>> find(const GrammarSource& source);
  Result<std::shared_ptr<const GrammarMatcher>> make(const GrammarSource& source);
  void remember(Entry entry);

  const Tokenizer& tokenizer;
  std::once_flag once;
  std::optional<Result<VocabularyHandle>> vocabulary;
  std::mutex mutex;
  std::list<Entry> entries;  // the latest first
  std::size_t bytes = 0;
};

Result<std::shared_ptr<const GrammarMatcher>> GrammarCompiler::Impl::find(const GrammarSource& source) {
  std::string key = static_cast<char>('0' + static_cast<int>(source.kind)) + source.text;
  {
    const std::lock_guard lock(mutex);
    for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
      if (entry->key != key) continue;
      entries.splice(entries.begin(), entries, entry);
      if (entry->prototype == nullptr) return Error{ErrorCode::kInvalid, entry->refusal};
      return entry->prototype;
    }
  }
  auto made = make(source);
  if (made || made.error().code == ErrorCode::kInvalid)
    remember({std::move(key), made ? *made : nullptr, made ? std::string() : made.error().message});
  return made;
}

Result<std::shared_ptr<const GrammarMatcher>> GrammarCompiler::Impl::make(const GrammarSource& source) {
  std::call_once(once, [this] { vocabulary.emplace(make_vocabulary(tokenizer)); });
  if (!*vocabulary) return vocabulary->error();
  Failure failure;
  GrammarHandle handle(dw_grammar_compile((**vocabulary).get(), static_cast<std::int32_t>(source.kind),
                                          view_of(source.text), failure.out()));
  if (handle == nullptr) return failure.error();
  return std::shared_ptr<const GrammarMatcher>(std::make_shared<RustMatcher>(std::move(handle)));
}

void GrammarCompiler::Impl::remember(Entry entry) {
  const std::lock_guard lock(mutex);
  bytes += entry.key.size();
  entries.push_front(std::move(entry));
  while (entries.size() > 1 && (entries.size() > kRememberedMax || bytes > kRememberedBytesMax)) {
    bytes -= entries.back().key.size();
    entries.pop_back();
  }
}

GrammarCompiler::GrammarCompiler(const Tokenizer& tokenizer) : impl_(std::make_unique<Impl>(tokenizer)) {}
GrammarCompiler::~GrammarCompiler() = default;

Result<std::unique_ptr<GrammarMatcher>> GrammarCompiler::compile(const GrammarSource& source) const {
  DW_TRY(const std::shared_ptr<const GrammarMatcher> prototype, impl_->find(source));
  return prototype->copy();
}

Status GrammarCompiler::check(const GrammarSource& source) const {
  DW_TRY([[maybe_unused]] const std::shared_ptr<const GrammarMatcher> prototype, impl_->find(source));
  return Done{};
}

Result<std::string> prepared_schema(std::string_view schema) {
  Failure failure;
  dw_text_buffer out = {nullptr, 0};
  if (dw_grammar_schema(view_of(schema), &out, failure.out()) == 0) return failure.error();
  std::string text(view_of(out));
  dw_text_buffer_free(out);
  return text;
}

std::string lark_literal(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace deepwell
