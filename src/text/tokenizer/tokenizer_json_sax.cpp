// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/tokenizer_json_sax.h"

#include <optional>

namespace deepwell {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kEntriesMax = std::size_t{1} << 22;
constexpr std::size_t kFileBytesMax = std::size_t{1} << 29;

class Reader final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return value(nullptr); }
  bool boolean(bool b) override { return value(b); }
  bool number_integer(std::int64_t i) override { return number(i); }
  bool number_unsigned(std::uint64_t u) override {
    return u <= INT64_MAX ? number(static_cast<std::int64_t>(u)) : fail("a number is too large");
  }
  bool number_float(double d, const std::string& /*text*/) override { return value(d); }
  bool binary(binary_t& /*bytes*/) override { return fail("binary data"); }

  bool string(std::string& s) override {
    if (where_ == kMerges) return merge(std::move(s));
    if (where_ == kPair) {
      if (halves_++ > 0) pair_ += ' ';
      pair_ += s;
      return s.find(' ') == std::string::npos || fail("a merge has a blank inside a token");
    }
    return value(std::move(s));
  }
  bool key(std::string& k) override {
    key_ = std::move(k);
    return true;
  }
  bool start_object(std::size_t /*size*/) override {
    if (where_ != kRest) return unexpected();
    if (open_.size() == 2 && in_model_ && key_ == "vocab") {
      if (std::exchange(seen_vocab_, true)) return fail("two members named vocab");
      where_ = kVocab;
      return true;
    }
    in_model_ = open_.size() == 1 ? key_ == "model" : in_model_;
    return open(Json::object());
  }
  bool end_object() override {
    if (where_ == kVocab)
      where_ = kRest;
    else
      open_.pop_back();
    return true;
  }
  bool start_array(std::size_t /*size*/) override {
    if (where_ == kMerges) {
      where_ = kPair;
      pair_.clear();
      halves_ = 0;
      return true;
    }
    if (where_ != kRest) return unexpected();
    if (open_.size() == 2 && in_model_ && key_ == "merges") {
      if (std::exchange(seen_merges_, true)) return fail("two members named merges");
      where_ = kMerges;
      return true;
    }
    in_model_ = in_model_ && open_.size() > 1;
    return open(Json::array());
  }
  bool end_array() override {
    if (where_ == kPair) {
      where_ = kMerges;
      return halves_ == 2 ? merge(std::move(pair_)) : fail("a merge is not two tokens");
    }
    if (where_ == kMerges)
      where_ = kRest;
    else
      open_.pop_back();
    return true;
  }
  bool parse_error(std::size_t at, const std::string& /*last*/,
                   const nlohmann::detail::exception& why) override {
    std::string text = why.what();
    if (const auto end = text.find("] "); end != std::string::npos) text.erase(0, end + 2);
    return fail("byte " + std::to_string(at) + ": " + text.substr(0, 200));
  }

  TokenizerDocument document;
  std::optional<Error> error;

 private:
  enum Where { kRest, kVocab, kMerges, kPair };

  bool fail(const std::string& why) {
    if (!error) error = Error{ErrorCode::kCorrupt, "tokenizer.json: " + why + "; fetch the file again"};
    return false;
  }
  bool unexpected() {
    return fail(where_ == kVocab ? "model.vocab: '" + key_.substr(0, 60) + "' has no number for its id"
                                 : "model.merges holds something other than two tokens");
  }
  bool merge(std::string&& text) {
    if (document.merges.size() == kEntriesMax) return fail("model.merges has more than 4 million entries");
    document.merges.push_back(std::move(text));
    return true;
  }
  bool number(std::int64_t i) {
    if (where_ != kVocab) return value(i);
    if (document.vocab.size() == kEntriesMax) return fail("model.vocab has more than 4 million entries");
    document.vocab.emplace_back(std::move(key_), i);
    return true;
  }
  Json* place(Json&& v) {
    if (open_.empty()) return &(document.rest = std::move(v));
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    return &(parent[key_] = std::move(v));
  }
  bool value(Json&& v) {
    if (where_ != kRest) return unexpected();
    place(std::move(v));
    return true;
  }
  bool open(Json&& v) {
    if (open_.size() == kDepthMax) return fail("nested deeper than 64 levels");
    open_.push_back(place(std::move(v)));
    return true;
  }

  Where where_ = kRest;
  std::vector<Json*>
      open_;  // outermost first; a container's address holds while it is the last of its parent
  std::string key_, pair_;
  int halves_ = 0;
  bool in_model_ = false, seen_vocab_ = false, seen_merges_ = false;
};

}  // namespace

Result<TokenizerDocument> parse_tokenizer_document(std::string_view json) {
  if (json.size() > kFileBytesMax)
    return Error{ErrorCode::kUnsupported, "tokenizer.json: larger than 512 MiB"};
  Reader reader;
  if (!Json::sax_parse(json.begin(), json.end(), &reader) || reader.error)
    return reader.error.value_or(Error{ErrorCode::kCorrupt, "tokenizer.json: no JSON; fetch the file again"});
  if (!reader.document.rest.is_object())
    return Error{ErrorCode::kCorrupt, "tokenizer.json: no JSON object; is this the right file?"};
  return std::move(reader.document);
}

}  // namespace deepwell
