// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/pretokenizer.h"

#include <algorithm>

#include "text/tokenizer/regex_scan.h"

namespace deepwell::pretokenizer {
namespace {

class ScannerPass final : public Pass {
 public:
  explicit ScannerPass(const Scanner& scanner) : scanner_(scanner) {}
  void cut(const char* begin, const char* end, PieceSink& out) const override {
    scanner_.cut(begin, end, out);
  }

 private:
  Scanner scanner_;
};

/// Feeds the pieces of one pass to the next, so that a text of any size needs no memory but a few buffers.
class NextPass final : public PieceSink {
 public:
  NextPass(const Pass& pass, PieceSink& out) : pass_(pass), out_(out) {}

 private:
  void take(std::span<const std::string_view> pieces) override {
    for (const std::string_view piece : pieces) pass_.cut(piece.data(), piece.data() + piece.size(), out_);
  }
  const Pass& pass_;
  PieceSink& out_;
};

const Scanner* find_scanner(std::string_view pattern) {
  for (const PreTokenizer& pre : all_pretokenizers())
    for (const Scanner& scanner : pre.passes)
      if (scanner.pattern == pattern) return &scanner;
  return nullptr;
}

void cut_from(std::span<const std::unique_ptr<Pass>> passes, std::string_view text, PieceSink& out) {
  if (passes.size() == 1) return passes[0]->cut(text.data(), text.data() + text.size(), out);
  NextPass last(*passes.back(), out);
  cut_from(passes.first(passes.size() - 1), text, last);
  last.flush();
}

}  // namespace

const PreTokenizer* find(std::string_view name, Name* found) {
  for (const PreTokenizer& pre : all_pretokenizers())
    for (const Name& candidate : pre.names)
      if (candidate.name == name) {
        if (found) *found = candidate;
        return &pre;
      }
  return nullptr;
}

const PreTokenizer* find(const std::vector<std::string>& patterns) {
  for (const PreTokenizer& pre : all_pretokenizers())
    if (std::equal(pre.passes.begin(), pre.passes.end(), patterns.begin(), patterns.end(),
                   [](const Scanner& a, const std::string& b) { return a.pattern == canonical(b); }))
      return &pre;
  return nullptr;
}

std::string known_names() {
  std::string all;
  for (const PreTokenizer& pre : all_pretokenizers())
    for (const Name& name : pre.names) all.append(all.empty() ? "" : ", ").append(name.name);
  return all;
}

Result<Sequence> Sequence::make(const std::vector<std::string>& patterns) {
  Sequence sequence;
  if (patterns.size() > 64)
    return Error{ErrorCode::kUnsupported, "tokenizer: more than 64 pre-tokenizer patterns"};
  for (const std::string& pattern : patterns) {
    if (const Scanner* scanner = find_scanner(canonical(pattern))) {
      sequence.passes_.push_back(std::make_unique<ScannerPass>(*scanner));
    } else {
      DW_TRY(auto pass, make_regex_pass(pattern));
      sequence.passes_.push_back(std::move(pass));
    }
  }
  return sequence;
}

void Sequence::cut(std::string_view text, PieceSink& out) const {
  if (text.empty()) return;
  if (passes_.empty())
    out.add(text.data(), text.data() + text.size());
  else
    cut_from(passes_, text, out);
  out.flush();
}

std::string canonical(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) {
    if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

}  // namespace deepwell::pretokenizer
