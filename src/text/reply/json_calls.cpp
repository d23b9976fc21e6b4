// SPDX-License-Identifier: Apache-2.0
// Calls written as JSON: <tool_call>{"name": "f", "arguments": {...}}</tool_call> as Qwen and Hermes models
// do, and a reply that is nothing but {"name": "f", "parameters": {...}}, as Llama 3 does.
#include "text/reply/call_json.h"
#include "text/reply/languages.h"
#include "text/reply/reply_machine.h"

namespace deepwell {
namespace {

constexpr std::size_t kMaxHeld = 64 << 10;

class JsonParser final : public ReplyMachine {
 public:
  JsonParser(ReplyOptions options, bool tagged)
      : ReplyMachine(std::move(options), tagged ? hermes() : llama3()), tagged_(tagged) {
    begin();
  }

 private:
  static Traits hermes() { return {.openers = {{"<tool_call>", true}}, .calls_in_thinking = false}; }
  static Traits llama3() {
    return {.openers = {{"{", true}, {"<|python_tag|>", true}}, .calls_at_start_only = true};
  }

  void inside_tag(std::size_t index, std::string_view text, bool opening) override {
    if (opening) {
      raw_.clear();
      expect_call();
      if (!tagged_ && index == 0 && !text.empty()) return read('{');
      raw_ = text;
      return;
    }
    if (!done_ && json_.in_string()) return inside_text(text);  // no tag: somebody's argument
    if (in_call()) {
      if (!any_arguments_) arguments("{}");
      end_call();
    } else if (!done_) {
      say(ReplyEvent::Kind::kText, raw_);
      say(ReplyEvent::Kind::kText, text);
      return leave(false);
    }
    leave(true);
  }

  void expect_call() {
    json_ = CallJson(/*strict=*/!tagged_);
    done_ = any_arguments_ = false;
    reading_ = true;
    std::vector<Tag> tags;
    if (tagged_) tags = {{"</tool_call>"}};
    look_for(std::move(tags), /*eager=*/true);
  }

  void inside_text(std::string_view text) override {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!reading_) return say(ReplyEvent::Kind::kText, text.substr(i));
      read(text[i]);
    }
  }

  void read(char c) {
    if (done_) {  // between calls, or after the last
      if (is_blank(c) || (!tagged_ && (c == ';' || c == ','))) return;
      if (c != '{') return stop(std::string(1, c));
      raw_.clear();
      json_ = CallJson(/*strict=*/!tagged_);
      done_ = any_arguments_ = false;
    }
    if (!in_call()) raw_ += c;
    const CallJson::State state = json_.push(c);
    if (!in_call() && json_.has_name()) {
      start_call(json_.name());
      raw_.clear();
    }
    if (in_call()) {
      const std::string json = json_.take_arguments();
      any_arguments_ = any_arguments_ || !json.empty();
      arguments(json);
    }
    if (state == CallJson::State::kDone) {
      if (!any_arguments_) arguments("{}");
      end_call();
      done_ = true;
    } else if (state == CallJson::State::kBad || raw_.size() > kMaxHeld) {
      if (!in_call()) return stop(std::exchange(raw_, {}));
      // The call was announced already: what follows cannot be told from its arguments.
      end_call();
      stop({});
    }
  }

  void stop(std::string text) {
    reading_ = false;
    say(ReplyEvent::Kind::kText, text);
    leave(false);
  }
  void inside_end() override {
    if (!done_ && !in_call()) say(ReplyEvent::Kind::kText, raw_);
    raw_.clear();
  }
  std::size_t held_inside() const override { return raw_.size(); }

  bool tagged_;
  bool reading_ = true, done_ = false, any_arguments_ = false;
  CallJson json_;
  std::string raw_;
};

}  // namespace

std::unique_ptr<ReplyParser> make_hermes_parser(ReplyOptions options) {
  return std::make_unique<JsonParser>(std::move(options), true);
}

std::unique_ptr<ReplyParser> make_llama3_parser(ReplyOptions options) {
  return std::make_unique<JsonParser>(std::move(options), false);
}

}  // namespace deepwell
