// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepwell {

/// How a model writes its thinking and its calls of tools.
enum class ReplyLanguage {
  kPlain,        ///< text, perhaps after <think>...</think>
  kDeepSeekV3,   ///< <｜tool▁calls▁begin｜>, arguments in a ```json fence (V3, R1 and its distills)
  kDeepSeekV31,  ///< the same tokens, arguments bare
  kDeepSeekV32,  ///< <｜DSML｜function_calls>, parameter by parameter
  kDeepSeekV4,   ///< <｜DSML｜tool_calls>; V4.1's <｜DSML｜ calls> too
  kHermes,       ///< <tool_call>{"name": ..., "arguments": {...}}</tool_call> (Qwen and others)
  kLlama3,       ///< the whole reply is {"name": ..., "parameters": {...}}
};

/// What the prompt left open, so where the reply begins.
struct ReplyStart {
  enum class In { kText, kReasoning, kToolCalls } in = In::kText;
  bool continues = false;  ///< the prompt ends in a started answer: leading newlines belong to it
};

struct ReplyOptions {
  ReplyStart start;
  bool parse_tools = true;   ///< false (no tools were offered): what looks like a call stays text
  std::string call_id_tail;  ///< ids are "call_00_" + this, "call_01_" + this, ...
};

/// A piece of a reply, in the order the model wrote it.
struct ReplyEvent {
  enum class Kind {
    kReasoning,      ///< text: more of the thinking
    kText,           ///< text: more of the answer
    kToolStart,      ///< call, id, and the tool's name in text
    kToolArguments,  ///< call, and more of the JSON of its arguments in text
    kToolEnd,        ///< call: its arguments are complete
  };
  Kind kind;
  std::string text{};
  int call = -1;  ///< 0 for the first call of the reply
  std::string id{};
  bool operator==(const ReplyEvent&) const = default;
};

/// A model's chat language, the part that is read: text as it is generated becomes events, as early as they
/// are certain. Never fails: what is no proper call stays text. The result does not depend on where the
/// text was cut, apart from how deltas are cut. Holds back at most a few hundred bytes, but a call's name.
class ReplyParser {
 public:
  static std::unique_ptr<ReplyParser> make(ReplyLanguage language, ReplyOptions options);
  /// Texts that mean something here: a control token with one of them has to be fed as text.
  static std::vector<std::string_view> markers(ReplyLanguage language);
  virtual ~ReplyParser() = default;
  /// `text`: whole UTF-8 characters. Deltas are never empty and hold whole characters.
  virtual std::vector<ReplyEvent> feed(std::string_view text) = 0;
  /// The reply is over: what was held back. A call cut off in the middle gets no kToolEnd.
  virtual std::vector<ReplyEvent> finish() = 0;
};

}  // namespace deepwell
