// SPDX-License-Identifier: Apache-2.0
// Calls as V3.2, V4 and V4.1 write them. Source: DeepSeek's published encoders and deepseek-recipe 0.2.0; the
// block is named function_calls (V3.2), tool_calls (V4) or " calls" (V4.1, with a blank in every tag).
//
//   <｜DSML｜tool_calls>
//   <｜DSML｜invoke name="f">
//   <｜DSML｜parameter name="k" string="true">text</｜DSML｜parameter>
//   </｜DSML｜invoke>
//   </｜DSML｜tool_calls>
#include "text/reply/languages.h"
#include "text/reply/reply_machine.h"

namespace deepwell {
namespace {

class DsmlParser final : public ReplyMachine {
 public:
  explicit DsmlParser(ReplyOptions options)
      : ReplyMachine(std::move(options), {.openers = openers(), .opens_thinking = false}) {
    begin();
  }

 private:
  // Blocks first: index 0 to 2 is a block, 3 and 4 a call without one.
  static std::vector<Tag> openers() {
    std::vector<Tag> tags;
    for (const char* name :
         {"tool_calls>", "function_calls>", " calls>", "invoke name=\"", " invoke name=\""})
      tags.push_back({std::string("<｜DSML｜") + name, true});
    return tags;
  }
  static constexpr std::size_t kBlocks = 3;

  enum class In { kBlock, kName, kParameters, kKey, kType, kValue };
  enum class Extra { kNone, kText, kJson };

  // What ends a value, a call and a block, in this order; each closes what lies inside it.
  enum class End { kParameter, kCall, kBlock };
  static void add_ends(std::vector<Tag>& tags, End first, bool newlines) {
    const auto add = [&](const char* name) { tags.push_back({std::string("</｜DSML｜") + name, newlines}); };
    if (first <= End::kParameter) add("parameter>"), add(" parameter>");
    if (first <= End::kCall) add("invoke>"), add(" invoke>");
    add("tool_calls>"), add("function_calls>"), add(" calls>");
  }
  static End end_of(std::size_t index, End first) {
    if (first == End::kBlock) return End::kBlock;
    if (first == End::kParameter) {
      if (index < 2) return End::kParameter;
      index -= 2;
    }
    return index < 2 ? End::kCall : End::kBlock;
  }

  void expect(In in) {
    in_ = in;
    extra_ = Extra::kNone;
    std::vector<Tag> tags;
    switch (in) {
      case In::kBlock:
        tags = {{"<｜DSML｜invoke name=\""}, {"<｜DSML｜ invoke name=\""}};
        add_ends(tags, End::kBlock, true);
        return look_for(std::move(tags));
      case In::kName:
        name_.clear();
        return look_for({{"\""}}, /*eager=*/true);
      case In::kParameters:
        tags = {{"<｜DSML｜parameter name=\"", true}, {"<｜DSML｜ parameter name=\"", true}};
        add_ends(tags, End::kCall, true);
        return look_for(std::move(tags));
      case In::kKey:
        return look_for({{"\""}});
      case In::kType:
        return look_for({{" string=\"true\">"}, {" string=\"false\">"}, {">"}});
      case In::kValue:
        add_ends(tags, End::kParameter, false);
        return look_for(std::move(tags));
    }
  }

  void inside_tag(std::size_t index, std::string_view text, bool opening) override {
    if (opening) {
      in_block_ = index < kBlocks;
      if (in_block_) return expect(In::kBlock);
      tag_ = text;
      return expect(In::kName);
    }
    switch (in_) {
      case In::kBlock:
        if (index >= 2) return leave(true);
        tag_ = text;
        return expect(In::kName);
      case In::kName:
        start_call(name_);
        parameters_ = 0;
        json_body_ = false;
        tag_closed_ = false;
        return expect(In::kParameters);
      case In::kParameters:
        if (index >= 2) return close_call(end_of(index - 2, End::kCall));
        arguments(parameters_++ == 0 ? "{\"" : ", \"");
        return expect(In::kKey);
      case In::kKey:
        arguments("\": ");
        return expect(In::kType);
      case In::kType:
        is_string_ = index != 1;  // what no type is given for is taken as it is written
        if (is_string_) arguments("\"");
        return expect(In::kValue);
      case In::kValue: {
        if (is_string_) arguments("\"");
        const End end = end_of(index, End::kParameter);
        return end == End::kParameter ? expect(In::kParameters) : close_call(end);
      }
    }
  }

  void close_call(End end) {
    if (!json_body_) arguments(parameters_ == 0 ? "{}" : "}");
    end_call();
    if (in_block_ && end == End::kCall) return expect(In::kBlock);
    leave(true);
  }

  void inside_text(std::string_view text) override {
    switch (in_) {
      case In::kBlock:
        return extra(text);
      case In::kName:
        name_ += text;
        if (name_.size() > kMaxName || name_.find('\n') != std::string::npos) give_up();
        return;
      case In::kParameters:
        if (!tag_closed_ && text.front() == '>') text.remove_prefix(1);
        tag_closed_ = true;
        return extra(text);
      case In::kKey:
        return arguments(json_escaped(text));
      case In::kType:
        return;  // attributes that nobody knows
      case In::kValue:
        return arguments(is_string_ ? json_escaped(text) : std::string(text));
    }
  }

  // What stands between tags should be blank. A call whose arguments are written as JSON at once is
  // understood; anything else is text.
  void extra(std::string_view text) {
    if (extra_ == Extra::kNone) {
      while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
      if (text.empty()) return;
      const bool json = in_ == In::kParameters && parameters_ == 0 && text.front() == '{';
      extra_ = json ? Extra::kJson : Extra::kText;
      json_body_ = json_body_ || json;
    }
    if (extra_ == Extra::kJson) {
      arguments(text);
    } else {
      say(ReplyEvent::Kind::kText, text);
    }
  }

  void give_up() {
    say(ReplyEvent::Kind::kText, tag_);
    say(ReplyEvent::Kind::kText, name_);
    name_.clear();
    leave(false);
  }
  // Between tags half a tag is markup, in a name or a value it is not.
  void inside_cut_off(std::string_view text) override {
    if (in_ == In::kName || in_ == In::kKey || in_ == In::kValue) inside_text(text);
  }
  void inside_end() override {
    if (in_ == In::kName) give_up();
  }
  std::size_t held_inside() const override { return in_ == In::kName ? tag_.size() + name_.size() : 0; }

  In in_ = In::kBlock;
  Extra extra_ = Extra::kNone;
  bool in_block_ = false, is_string_ = false, tag_closed_ = false, json_body_ = false;
  int parameters_ = 0;
  std::string tag_, name_;
};

}  // namespace

std::unique_ptr<ReplyParser> make_dsml_parser(ReplyOptions options) {
  return std::make_unique<DsmlParser>(std::move(options));
}

}  // namespace deepwell
