// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// The latest prompts of each user, to tell where a new one parts from them. Up to a number of tokens in all:
/// the oldest go first. One user's are never compared with another's. Thread-safe.
class RecentPrompts {
 public:
  explicit RecentPrompts(std::size_t tokens_max = 4'000'000) : tokens_max_(tokens_max) {}

  struct Prompt {
    std::string user, model, request;  ///< request: the answer's id
    std::vector<Token> tokens;
  };
  void add(Prompt prompt);

  struct Closest {
    Prompt prompt;
    std::size_t common = 0;  ///< tokens that both begin with
  };
  /// The one that shares the longest beginning, of equals the latest.
  std::optional<Closest> closest(const std::string& user, const std::string& model,
                                 const std::vector<Token>& tokens) const;

 private:
  static constexpr std::size_t kOfOneUser = 32;
  const std::size_t tokens_max_;
  mutable std::mutex mutex_;
  std::list<Prompt> prompts_;  // the latest first
  std::size_t tokens_ = 0;
};

}  // namespace deepwell
