// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/special_tokens.h"

namespace deepwell {

std::int32_t SpecialTokens::child(std::int32_t node, char byte) const {
  for (std::int32_t i = nodes_[static_cast<std::size_t>(node)].child; i >= 0;
       i = nodes_[static_cast<std::size_t>(i)].brother)
    if (nodes_[static_cast<std::size_t>(i)].byte == byte) return i;
  return -1;
}

void SpecialTokens::add(std::string_view text, Token token) {
  std::int32_t node = 0;
  for (const char c : text) {
    std::int32_t next = child(node, c);
    if (next < 0) {
      next = static_cast<std::int32_t>(nodes_.size());
      Node fresh;
      fresh.byte = c;
      fresh.brother = nodes_[static_cast<std::size_t>(node)].child;
      nodes_[static_cast<std::size_t>(node)].child = next;
      nodes_.push_back(fresh);
    }
    node = next;
  }
  nodes_[static_cast<std::size_t>(node)].token = token;
  first_.set(static_cast<unsigned char>(text[0]));
}

SpecialTokens::Match SpecialTokens::find(std::string_view text, std::size_t from) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (!first_.test(static_cast<unsigned char>(text[at]))) continue;
    Match match;
    std::int32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      node = child(node, text[i]);
      if (node < 0) break;
      if (const Token token = nodes_[static_cast<std::size_t>(node)].token; token >= 0)
        match = {at, i + 1, token};
    }
    if (match.token >= 0) return match;
  }
  return {};
}

}  // namespace deepwell
