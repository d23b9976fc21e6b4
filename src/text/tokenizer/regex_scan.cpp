// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/regex_scan.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "text/tokenizer/unicode.h"

namespace deepwell::pretokenizer {
namespace {

constexpr std::size_t kPatternBytesMax = 16 << 10;
constexpr std::uint32_t kStepsMax = 1 << 20;

template <auto kFree>
struct Freer {
  template <class T>
  void operator()(T* p) const {
    kFree(p);
  }
};
using Code = std::unique_ptr<pcre2_code, Freer<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Freer<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freer<pcre2_match_context_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freer<pcre2_compile_context_free>>;

Error refuse(const std::string& pattern, const std::string& why) {
  return {ErrorCode::kUnsupported,
          "tokenizer: pre-tokenizer pattern '" + pattern.substr(0, 120) + "': " + why};
}

/// What the two dialects read differently without either reporting an error, or nullptr.
const char* dialect_trap(std::string_view pattern) {
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (pattern[i] == '\\') {
      if (next == 'h' || next == 'H') return "\\h is a hexadecimal digit to some engines, a blank to others";
      if (next == 'K' || next == 'g' || next == 'C') return "\\K, \\g and \\C are not supported";
      ++i;
      if (i + 1 < pattern.size() && pattern[i + 1] == '{')  // \p{L}: these braces are no repeat
        i = std::min(pattern.find('}', i), pattern.size() - 1);
    } else if (in_class) {
      if (pattern[i] == '&' && next == '&') return "class intersection (&&) is not supported";
      if (pattern[i] == '[' && next != ':') return "nested classes are not supported";
      if (pattern[i] == ']') in_class = false;
      if (pattern[i] == '[' && next == ':') i = std::min(pattern.find(":]", i), pattern.size() - 2) + 1;
    } else if (pattern[i] == '[') {
      in_class = true;
      if (next == '^') ++i;
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') return "a class that starts with ] is ambiguous";
    } else if (pattern[i] == '}' && next == '+') {
      return "{n,m}+ repeats in some engines and is possessive in others";
    } else if (pattern[i] == '(' && next == '*') {
      return "verbs are not supported";
    } else if (pattern[i] == '(' && next == '?') {
      for (std::size_t j = i + 2;
           j < pattern.size() && (pattern[j] == '-' || (pattern[j] >= 'a' && pattern[j] <= 'z')); ++j)
        if (pattern[j] == 'm') return "(?m) means different things to different engines";
    }
  }
  return nullptr;
}

class RegexPass final : public Pass {
 public:
  explicit RegexPass(Code code) : code_(std::move(code)) {}

  void cut(const char* begin, const char* end, PieceSink& out) const override {
    const MatchData found(pcre2_match_data_create(1, nullptr));
    const MatchContext limits(pcre2_match_context_create(nullptr));
    if (!found || !limits) return out.add(begin, end);
    pcre2_set_match_limit(limits.get(), kStepsMax);
    pcre2_set_depth_limit(limits.get(), 10'000);
    pcre2_set_heap_limit(limits.get(), 64 << 10);  // KiB
    const auto size = static_cast<std::size_t>(end - begin);
    std::size_t gap = 0;
    for (std::size_t at = 0; at < size;) {
      const int count = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(begin), size, at, 0,
                                    found.get(), limits.get());
      if (count < 0) break;
      const std::size_t* const span = pcre2_get_ovector_pointer(found.get());
      const std::size_t from = span[0], to = span[1];
      if (to <= from || from < at) {  // empty: nothing to cut here
        at = std::max(at, to);
        if (at < size) at += unicode::char_at(begin + at, end).bytes;
        continue;
      }
      if (gap < from) out.add(begin + gap, begin + from);
      out.add(begin + from, begin + to);
      gap = at = to;
    }
    if (gap < size) out.add(begin + gap, end);
  }

 private:
  Code code_;
};

}  // namespace

Result<std::unique_ptr<Pass>> make_regex_pass(const std::string& pattern) {
  if (pattern == kDigits || pattern == kDigitRuns) return refuse(pattern, "no scanner for it");
  if (pattern.empty()) return refuse(pattern, "it is empty");
  if (pattern.size() > kPatternBytesMax) return refuse(pattern, "it is longer than 16 KiB");
  if (const char* why = dialect_trap(pattern)) return refuse(pattern, why);
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) return refuse(pattern, "out of memory");
  pcre2_set_parens_nest_limit(context.get(), 100);
  int error = 0;
  std::size_t where = 0;
  // MULTILINE: to Ruby, ^ and $ are the ends of lines.
  Code code(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
      &where, context.get()));
  if (!code) {
    PCRE2_UCHAR message[160] = {};
    pcre2_get_error_message(error, message, sizeof message);
    return refuse(pattern,
                  "at byte " + std::to_string(where) + ": " + reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without it the interpreter does the same, slower
  return std::unique_ptr<Pass>(std::make_unique<RegexPass>(std::move(code)));
}

std::string quote_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(\^$.|?*+()[]{}-#&/ )").find(c) != std::string_view::npos && c != ' ') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace deepwell::pretokenizer
