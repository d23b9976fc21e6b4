// SPDX-License-Identifier: Apache-2.0
// Calls as V3, R1 and V3.1 write them. Source: the chat templates of these models.
//
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME        V3, R1
//   ```json
//   {...}
//   ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{...}<｜tool▁call▁end｜>...   V3.1
//
// The two are told apart by what follows the separator, because models of one kind fall into the other.
#include "text/reply/languages.h"
#include "text/reply/reply_machine.h"

namespace deepwell {
namespace {

class TokenParser final : public ReplyMachine {
 public:
  explicit TokenParser(ReplyOptions options)
      : ReplyMachine(std::move(options),
                     {.openers = {{"<｜tool▁calls▁begin｜>", true}, {"<｜tool▁call▁begin｜>", true}}}) {
    begin();
  }

 private:
  enum class In { kBlock, kHeader, kName, kFence, kArguments };

  void expect(In in) {
    in_ = in;
    collected_.clear();
    switch (in) {
      case In::kBlock:
        extra_ = false;
        return look_for({{"<｜tool▁calls▁end｜>", true}, {"<｜tool▁call▁begin｜>"}});
      case In::kHeader:
        return look_for({{"<｜tool▁calls▁end｜>"}, {"<｜tool▁call▁end｜>"}, {"<｜tool▁sep｜>"}}, true);
      case In::kName:
      case In::kFence:
        return look_for({{"<｜tool▁calls▁end｜>", true}, {"<｜tool▁call▁end｜>", true}}, true);
      case In::kArguments: {
        std::vector<Tag> tags;
        for (const char* fence : {"", "```", "```\n"}) {
          tags.push_back({fence + std::string("<｜tool▁calls▁end｜>"), true});
          tags.push_back({fence + std::string("<｜tool▁call▁end｜>"), true});
          if (!fenced_) break;
        }
        return look_for(std::move(tags));
      }
    }
  }

  void inside_tag(std::size_t index, std::string_view text, bool opening) override {
    if (opening && index == 0) return expect(In::kBlock);
    const bool ends_block = !opening && index % 2 == 0;
    switch (opening ? In::kBlock : in_) {
      case In::kBlock:
        if (ends_block) return leave(true);
        raw_ = text;
        return expect(In::kHeader);
      case In::kHeader:
        if (index < 2) {  // no separator: no call
          raw_ += text;
          return give_up();
        }
        raw_ += text;
        header_ = without_blanks(header_);
        fenced_ = false;
        return expect(In::kName);
      case In::kName:
        if (!begin_call()) {
          raw_ += text;
          return give_up();
        }
        break;
      case In::kFence:
        give_arguments(collected_);
        break;
      case In::kArguments:
        break;
    }
    if (!any_arguments_) arguments("{}");
    end_call();
    if (ends_block) return leave(true);
    expect(In::kBlock);
  }

  // After the separator came a name and the end of its line, or the arguments themselves.
  bool begin_call() {
    const std::string_view line = without_blanks(collected_);
    const std::string name(line.empty() || line.starts_with("```") ? std::string_view(header_) : line);
    if (name.empty()) return false;
    start_call(name);
    raw_.clear();
    header_.clear();
    any_arguments_ = false;
    return true;
  }

  void inside_text(std::string_view text) override {
    switch (in_) {
      case In::kBlock:
        while (!extra_ && !text.empty() && is_blank(text.front())) text.remove_prefix(1);
        extra_ = extra_ || !text.empty();
        return say(ReplyEvent::Kind::kText, text);
      case In::kHeader:
        header_ += text;
        raw_ += text;
        if (header_.size() > kMaxName) give_up();
        return;
      case In::kName:
        for (std::size_t i = 0; i < text.size(); ++i) {
          if (name_goes_on(text[i])) continue;
          const std::string_view rest = text.substr(i + 1);
          return in_call() ? inside_text(rest) : say(ReplyEvent::Kind::kText, rest);
        }
        return;
      case In::kFence:
        for (std::size_t i = 0; i < text.size(); ++i) {
          if (fence_goes_on(text[i])) continue;
          return inside_text(text.substr(i + 1));
        }
        return;
      case In::kArguments:
        return give_arguments(text);
    }
  }

  bool name_goes_on(char c) {
    collected_ += c;
    raw_ += c;
    const std::string_view line = without_blanks(collected_);
    const bool fence = line.starts_with("```");
    const bool json = c == '{' && !fence;
    if (json || (c == '\n' && !line.empty())) {
      if (json) collected_.pop_back();
      if (!begin_call()) {
        give_up();
        return false;
      }
      fenced_ = fence;
      expect(json || fence ? In::kArguments : In::kFence);
      if (json) give_arguments("{");
      return false;
    }
    if (collected_.size() <= kMaxName) return true;
    give_up();
    return false;
  }
  void give_arguments(std::string_view json) {
    any_arguments_ = any_arguments_ || !json.empty();
    arguments(json);
  }

  // The line of the fence, if there is one.
  bool fence_goes_on(char c) {
    if (collected_.empty() && is_blank(c)) return true;
    collected_ += c;
    const std::string_view fence = "```json\n";
    const std::string line = collected_;
    if (line == fence || line == "```\n" || line == "```json{") {
      fenced_ = true;
      expect(In::kArguments);
      if (c == '{') give_arguments("{");
      return false;
    }
    if (fence.starts_with(line)) return true;
    expect(In::kArguments);
    give_arguments(line);
    return false;
  }

  void give_up() {
    say(ReplyEvent::Kind::kText, raw_);
    raw_.clear();
    header_.clear();
    leave(false);
  }
  void inside_cut_off(std::string_view text) override {
    if (in_ != In::kBlock) inside_text(text);  // half a tag between calls is markup
  }
  void inside_end() override {
    if (in_ == In::kHeader || in_ == In::kName) give_up();
    if (in_ == In::kFence) arguments(collected_);
  }
  std::size_t held_inside() const override { return in_ == In::kFence ? collected_.size() : raw_.size(); }

  In in_ = In::kBlock;
  bool extra_ = false, fenced_ = false, any_arguments_ = false;
  std::string raw_, header_, collected_;
};

}  // namespace

std::unique_ptr<ReplyParser> make_token_parser(ReplyOptions options) {
  return std::make_unique<TokenParser>(std::move(options));
}

}  // namespace deepwell
