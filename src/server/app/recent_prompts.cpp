// SPDX-License-Identifier: Apache-2.0
#include "server/app/recent_prompts.h"

#include <algorithm>

namespace deepwell {

void RecentPrompts::add(Prompt prompt) {
  const std::lock_guard lock(mutex_);
  if (prompt.tokens.size() > tokens_max_) return;
  std::size_t of_user = 1;
  for (auto at = prompts_.begin(); at != prompts_.end();) {
    if (at->user == prompt.user && ++of_user > kOfOneUser) {
      tokens_ -= at->tokens.size();
      at = prompts_.erase(at);
    } else {
      ++at;
    }
  }
  tokens_ += prompt.tokens.size();
  prompts_.push_front(std::move(prompt));
  while (tokens_ > tokens_max_) {
    tokens_ -= prompts_.back().tokens.size();
    prompts_.pop_back();
  }
}

std::optional<RecentPrompts::Closest> RecentPrompts::closest(const std::string& user,
                                                             const std::string& model,
                                                             const std::vector<Token>& tokens) const {
  const std::lock_guard lock(mutex_);
  const Prompt* best = nullptr;
  std::size_t most = 0;
  for (const Prompt& prompt : prompts_) {
    if (prompt.user != user || prompt.model != model) continue;
    const auto parted =
        std::mismatch(tokens.begin(), tokens.end(), prompt.tokens.begin(), prompt.tokens.end());
    const auto common = static_cast<std::size_t>(parted.first - tokens.begin());
    if (best != nullptr && common <= most) continue;
    best = &prompt;
    most = common;
  }
  if (best == nullptr) return std::nullopt;
  return Closest{*best, most};
}

}  // namespace deepwell
