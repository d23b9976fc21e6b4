// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// Finds the texts of control and user-defined tokens: the leftmost, and of those the longest.
class SpecialTokens {
 public:
  struct Match {
    std::size_t begin = 0, end = 0;
    Token token = -1;  ///< -1: none from here on
  };

  void add(std::string_view text, Token token);  ///< requires text not empty
  Match find(std::string_view text, std::size_t from) const;
  bool empty() const { return nodes_.size() == 1; }

 private:
  struct Node {  // of a trie; brothers are a list
    std::int32_t child = -1, brother = -1;
    Token token = -1;
    char byte = 0;
  };
  std::int32_t child(std::int32_t node, char byte) const;

  std::vector<Node> nodes_ = {Node{}};
  std::bitset<256> first_;
};

}  // namespace deepwell
