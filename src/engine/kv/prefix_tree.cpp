// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/prefix_tree.h"

namespace deepwell {

std::string PrefixTree::key_of(std::string_view space, std::span<const std::int32_t> tokens) {
  std::string key(reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes());
  key += space;  // tokens are of one length, so that nothing else can read the same
  return key;
}

PrefixTree::Node* PrefixTree::find(Node* parent, std::string_view space,
                                   std::span<const std::int32_t> tokens) {
  const auto found = parent->children_.find(key_of(parent == &root_ ? space : "", tokens));
  if (found == parent->children_.end()) return nullptr;
  touch(found->second.get());
  return found->second.get();
}

PrefixTree::Node* PrefixTree::insert(Node* parent, std::string_view space,
                                     std::span<const std::int32_t> tokens, std::int32_t page) {
  DW_CHECK(static_cast<int>(tokens.size()) == pool_->layout().page_tokens);
  auto node = std::make_unique<Node>();
  node->parent_ = parent;
  node->key_ = key_of(parent == &root_ ? space : "", tokens);
  node->page_ = page;
  Node* const added = node.get();
  leaves_.erase({parent->used_, parent});
  DW_CHECK(parent->children_.emplace(added->key_, std::move(node)).second);
  pool_->keep(page);
  ++size_;
  touch(added);
  return added;
}

void PrefixTree::touch(Node* node) {
  leaves_.erase({node->used_, node});
  node->used_ = ++clock_;
  if (node->children_.empty()) leaves_.emplace(node->used_, node);
}

// Whoever shares a page shares those before it, so what lies below a spare page is spare: leaves suffice, and
// of those in use there are at most as many as sequences.
bool PrefixTree::evict() {
  for (const auto& [used, leaf] : leaves_) {
    if (!pool_->spare(leaf->page_)) continue;
    if (on_evict) on_evict(*leaf);
    remove(leaf);
    return true;
  }
  return false;
}

void PrefixTree::remove(Node* leaf) {
  Node* const parent = leaf->parent_;
  leaves_.erase({leaf->used_, leaf});
  pool_->unkeep(leaf->page_);
  --size_;
  parent->children_.erase(parent->children_.find(leaf->key_));
  if (parent != &root_ && parent->children_.empty()) leaves_.emplace(parent->used_, parent);
}

void PrefixTree::clear() {
  while (!leaves_.empty()) remove(leaves_.begin()->second);
}

}  // namespace deepwell
