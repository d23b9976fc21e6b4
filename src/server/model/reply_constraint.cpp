// SPDX-License-Identifier: Apache-2.0
#include "server/model/reply_constraint.h"

#include <algorithm>

namespace deepwell {
namespace {
constexpr std::string_view kOpen = "<think>", kClose = "</think>";
}

ReplyConstraint::ReplyConstraint(const Tokenizer& tokenizer, std::unique_ptr<GrammarMatcher> matcher,
                                 bool in_thinking, std::int64_t thinking_tokens_max)
    : tokenizer_(tokenizer),
      matcher_(std::move(matcher)),
      thinking_tokens_max_(thinking_tokens_max),
      thinking_(in_thinking) {
  closing_ = tokenizer.encode(kClose, {.parse_special = true, .add_special = false});
}

bool ReplyConstraint::must_close() const {
  return thinking_ && !closing_.empty() && closed_ < closing_.size() &&
         (closed_ > 0 || now_ || (thinking_tokens_max_ >= 0 && thought_ >= thinking_tokens_max_));
}

Status ReplyConstraint::mask(std::span<std::uint32_t> allowed) {
  if (must_close()) {
    std::fill(allowed.begin(), allowed.end(), 0);
    const auto token = static_cast<std::size_t>(closing_[closed_]);
    allowed[token / 32] |= 1U << (token % 32);
    return Done{};
  }
  if (matcher_ != nullptr) return matcher_->mask(allowed);
  std::fill(allowed.begin(), allowed.end(), ~0U);
  return Done{};
}

Status ReplyConstraint::accept(std::int32_t token) {
  if (must_close()) ++closed_;
  follow(token);
  return matcher_ != nullptr ? matcher_->accept(token) : Status(Done{});
}

// Thinking opens with the reply, or never.
void ReplyConstraint::follow(std::int32_t token) {
  if (ended_) return;
  tail_ += tokenizer_.token_bytes(token, /*show_control=*/true);
  if (!thinking_) {
    const std::size_t first = tail_.find_first_not_of(" \n");
    if (first == std::string::npos) return;
    const std::string_view begun = std::string_view(tail_).substr(first);
    thinking_ = begun.starts_with(kOpen);
    ended_ = !thinking_ && !kOpen.starts_with(begun);
    if (thinking_) tail_.clear();
    return;
  }
  ++thought_;
  if (tail_.find(kClose) != std::string::npos) {
    thinking_ = false;
    ended_ = true;
  } else if (tail_.size() > 64) {
    tail_.erase(0, tail_.size() - kClose.size());
  }
}

bool ReplyConstraint::finished() const { return matcher_ != nullptr && matcher_->finished(); }

}  // namespace deepwell
