// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "text/reply/reply_parser.h"
#include "text/reply/tag_matcher.h"

namespace deepwell {

/// What all languages share: thinking, then text, and a way into a language's own calls of tools. The
/// language says which tags open a call and what they are inside one; this finds them.
class ReplyMachine : public ReplyParser {
 public:
  std::vector<ReplyEvent> feed(std::string_view text) final;
  std::vector<ReplyEvent> finish() final;
  std::size_t held() const final { return pending_.size() + (stage_ == Stage::kInside ? held_inside() : 0); }

 protected:
  using Tag = TagMatcher::Tag;
  struct Traits {
    std::vector<Tag> openers;       ///< tags that begin calls; handed to inside_tag by index
    bool thinks = true;             ///< </think> means something
    bool opens_thinking = true;     ///< a <think> at the very beginning of the reply begins thinking
    bool calls_in_thinking = true;  ///< an opener ends thinking
    bool calls_at_start_only = false;
  };
  ReplyMachine(ReplyOptions options, Traits traits);

  /// A tag was found: one of the openers (`opening`), or one of those given to look_for.
  virtual void inside_tag(std::size_t index, std::string_view text, bool opening) = 0;
  /// What stands before the next tag, in pieces.
  virtual void inside_text(std::string_view text) = 0;
  /// The reply ended inside, perhaps in the middle of a tag: `text` is what there is of it.
  virtual void inside_cut_off(std::string_view text) { inside_text(text); }
  virtual void inside_end() {}
  virtual std::size_t held_inside() const { return 0; }

  /// Inside: what can come next. inside_text may change the state (by look_for or leave) only if `eager`:
  /// then it gets every byte as soon as that is no part of a tag, and so changes at the same byte always.
  void look_for(std::vector<Tag> tags, bool eager = false);
  void leave(bool drop_newlines);  ///< back to text
  void say(ReplyEvent::Kind kind, std::string_view text);
  void start_call(std::string_view name);
  void arguments(std::string_view json) { say(ReplyEvent::Kind::kToolArguments, json); }
  void end_call();
  void begin();  ///< call it once the object is whole
  bool in_call() const { return in_call_; }

 private:
  enum class Stage { kReasoning, kText, kInside };
  void enter(Stage stage, bool leading);
  void push(char c);
  void body(std::string_view text);
  void match(std::size_t found, std::string_view text);

  ReplyOptions options_;
  Traits traits_;
  Stage stage_ = Stage::kText;
  bool leading_ = false;  ///< newlines are dropped, and the first other byte ends this
  bool first_ = true;     ///< nothing but newlines came yet
  bool eager_ = false;
  int changes_ = 0;  ///< of what is looked for
  bool in_call_ = false;
  int calls_ = 0;
  enum class Means { kOpener, kThinkBegin, kThinkEnd, kInside };
  struct Meaning {
    Means means;
    std::size_t index;
  };
  std::vector<Meaning> meanings_;
  TagMatcher matcher_;
  std::string pending_;
  std::vector<ReplyEvent> events_;
};

}  // namespace deepwell
