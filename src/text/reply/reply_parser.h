// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepwell {

/// How a model writes its thinking and its calls of tools.
enum class ReplyLanguage {
  kPlain,           ///< text and nothing else
  kThinking,        ///< text, perhaps after thinking that ends in </think>
  kDeepSeekTokens,  ///< <｜tool▁calls▁begin｜>...: V3 and R1 (arguments in a ```json fence), V3.1 (bare)
  kDeepSeekDsml,  ///< <｜DSML｜tool_calls>, parameter by parameter: V3.2, V4 and V4.1, whose tags differ a
                  ///< little
  kHermes,        ///< <tool_call>{"name": ..., "arguments": {...}}</tool_call>: Qwen and many others
  kLlama3,        ///< the reply is {"name": ..., "parameters": {...}}
};

/// What the prompt left open, so where the reply begins.
struct ReplyStart {
  enum class In { kText, kReasoning, kToolCalls } in = In::kText;
  bool continues = false;  ///< the prompt ends in a started answer: leading newlines belong to it
  bool operator==(const ReplyStart&) const = default;
};

struct ReplyOptions {
  ReplyStart start{};
  bool parse_tools = true;     ///< false (no tools were offered): what looks like a call stays text
  std::string call_id_tail{};  ///< ids are "call_00_" + this, "call_01_" + this, ...
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
  Kind kind = Kind::kText;
  std::string text{};
  int call = -1;  ///< 0 for the first call of the reply
  std::string id{};
  bool operator==(const ReplyEvent&) const = default;
};

/// A model's chat language, the part that is read: text as it is generated becomes events, as early as they
/// are certain. Never fails: what is no proper call stays text, and only markup and the newlines around it
/// are dropped. Where the text is cut changes where deltas are cut, and nothing else.
/// Memory: what may yet become a tag (under 1 KiB); for the JSON languages also a call of up to 64 KiB
/// whose name has not come yet.
class ReplyParser {
 public:
  static std::unique_ptr<ReplyParser> make(ReplyLanguage language, ReplyOptions options);
  /// Texts that mean something here: a control token with one of these has to be fed as text.
  static std::vector<std::string_view> markers(ReplyLanguage language);
  virtual ~ReplyParser() = default;
  /// `text`: whole UTF-8 characters. Deltas are never empty and hold whole characters.
  virtual std::vector<ReplyEvent> feed(std::string_view text) = 0;
  /// The reply is over: what was held back. A call cut off in the middle gets no kToolEnd.
  virtual std::vector<ReplyEvent> finish() = 0;
  /// Bytes of what was fed that no event tells of yet.
  virtual std::size_t held() const = 0;
};

}  // namespace deepwell
