// SPDX-License-Identifier: Apache-2.0
#include "text/reply/reply_machine.h"

#include <fmt/format.h>

#include <utility>

namespace deepwell {
namespace {
constexpr const char* kThinkBegin = "<think>";
constexpr const char* kThinkEnd = "</think>";
}  // namespace

ReplyMachine::ReplyMachine(ReplyOptions options, Traits traits)
    : options_(std::move(options)), traits_(std::move(traits)) {
  if (!options_.parse_tools) traits_.openers.clear();
}

void ReplyMachine::begin() {
  const ReplyStart& start = options_.start;
  first_ = !start.continues;
  switch (start.in) {
    case ReplyStart::In::kReasoning:
      return enter(Stage::kReasoning, !start.continues);
    case ReplyStart::In::kText:
      return enter(Stage::kText, !start.continues);
    case ReplyStart::In::kToolCalls:
      if (traits_.openers.empty()) return enter(Stage::kText, true);
      enter(Stage::kInside, false);
      inside_tag(0, {}, true);
      return;
  }
}

std::vector<ReplyEvent> ReplyMachine::feed(std::string_view text) {
  for (const char c : text) push(c);
  const std::size_t certain = pending_.size() - matcher_.held();
  if (certain > 0) {
    const std::string now = pending_.substr(0, certain);
    pending_.erase(0, certain);
    body(now);
  }
  return std::exchange(events_, {});
}

std::vector<ReplyEvent> ReplyMachine::finish() {
  matcher_ = TagMatcher();
  const std::string rest = std::exchange(pending_, {});
  if (stage_ != Stage::kInside) {
    body(rest);
  } else {
    if (!rest.empty()) inside_cut_off(rest);
    if (stage_ == Stage::kInside) inside_end();
  }
  stage_ = Stage::kText;
  return std::exchange(events_, {});
}

void ReplyMachine::push(char c) {
  pending_ += c;
  const std::optional<std::size_t> found = matcher_.push(c);
  if (!found && !leading_ && !eager_) return;
  const std::size_t tail = found ? matcher_.matched_bytes() : matcher_.held();
  if (pending_.size() > tail) {
    const std::string text = std::exchange(pending_, {});
    const std::string_view now = std::string_view(text).substr(0, text.size() - tail);
    const std::string_view rest = std::string_view(text).substr(now.size());
    const int before = changes_;
    body(now);
    if (changes_ != before) {  // the rest may be something else by now
      for (const char again : rest) push(again);
      return;
    }
    pending_ = rest;
  }
  if (found) match(*found, std::exchange(pending_, {}));
}

void ReplyMachine::match(std::size_t found, std::string_view text) {
  const auto [means, index] = meanings_[found];
  first_ = false;
  switch (means) {
    case Means::kOpener:
      enter(Stage::kInside, false);
      return inside_tag(index, text, true);
    case Means::kInside:
      return inside_tag(index, text, false);
    case Means::kThinkBegin:
      return enter(Stage::kReasoning, true);
    case Means::kThinkEnd:
      // A stray one in the text is dropped, and what follows it stays as it is.
      return enter(Stage::kText, stage_ == Stage::kReasoning);
  }
}

void ReplyMachine::body(std::string_view text) {
  if (leading_) {
    while (!text.empty() && text.front() == '\n') text.remove_prefix(1);
    if (text.empty()) return;
    first_ = false;
    enter(stage_, false);
  }
  switch (stage_) {
    case Stage::kReasoning:
      return say(ReplyEvent::Kind::kReasoning, text);
    case Stage::kText:
      return say(ReplyEvent::Kind::kText, text);
    case Stage::kInside:
      if (!text.empty()) inside_text(text);
  }
}

void ReplyMachine::enter(Stage stage, bool leading) {
  stage_ = stage;
  leading_ = leading;
  eager_ = false;
  ++changes_;
  std::vector<Tag> tags;
  meanings_.clear();
  const auto add = [&](Tag tag, Means means, std::size_t index = 0) {
    tags.push_back(std::move(tag));
    meanings_.push_back({means, index});
  };
  if (stage != Stage::kInside) {
    const bool may_call = (stage == Stage::kText || traits_.calls_in_thinking) &&
                          (!traits_.calls_at_start_only || (stage == Stage::kText && leading));
    for (std::size_t i = 0; may_call && i < traits_.openers.size(); ++i)
      add(traits_.openers[i], Means::kOpener, i);
    if (traits_.thinks) {
      add({kThinkEnd, stage == Stage::kReasoning}, Means::kThinkEnd);
      if (traits_.opens_thinking && leading && first_) add({kThinkBegin, false}, Means::kThinkBegin);
    }
  }
  matcher_ = TagMatcher(std::move(tags));
}

void ReplyMachine::look_for(std::vector<Tag> tags, bool eager) {
  eager_ = eager;
  ++changes_;
  meanings_.clear();
  for (std::size_t i = 0; i < tags.size(); ++i) meanings_.push_back({Means::kInside, i});
  matcher_ = TagMatcher(std::move(tags));
}

void ReplyMachine::leave(bool drop_newlines) { enter(Stage::kText, drop_newlines); }

void ReplyMachine::say(ReplyEvent::Kind kind, std::string_view text) {
  if (text.empty()) return;
  const int call = kind == ReplyEvent::Kind::kToolArguments ? calls_ - 1 : -1;
  if (!events_.empty() && events_.back().kind == kind && events_.back().call == call) {
    events_.back().text += text;
  } else {
    events_.push_back({kind, std::string(text), call, {}});
  }
}

void ReplyMachine::start_call(std::string_view name) {
  events_.push_back({ReplyEvent::Kind::kToolStart, std::string(name), calls_,
                     fmt::format("call_{:02}_{}", calls_, options_.call_id_tail)});
  ++calls_;
  in_call_ = true;
}

void ReplyMachine::end_call() {
  if (!in_call_) return;
  events_.push_back({ReplyEvent::Kind::kToolEnd, {}, calls_ - 1, {}});
  in_call_ = false;
}

}  // namespace deepwell
