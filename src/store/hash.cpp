// SPDX-License-Identifier: Apache-2.0
#include "store/hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <iterator>

#include "base/bytes.h"
#include "base/check.h"

namespace deepwell {

bool is_content_hash(std::string_view hex) {
  return (hex.size() == 64 || hex.size() == 40) && std::all_of(hex.begin(), hex.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

struct ContentHasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

ContentHasher::ContentHasher(std::string_view expected, std::int64_t size)
    : state_(std::make_unique<State>()) {
  DW_CHECK(is_content_hash(expected) && state_->context != nullptr);
  const bool git = expected.size() == 40;
  DW_CHECK(EVP_DigestInit_ex(state_->context, git ? EVP_sha1() : EVP_sha256(), nullptr) == 1);
  if (!git) return;
  std::string start = fmt::format("blob {}", size);
  start.push_back('\0');
  add(as_raw_bytes(start));
}

ContentHasher::~ContentHasher() = default;
ContentHasher::ContentHasher(ContentHasher&&) noexcept = default;
ContentHasher& ContentHasher::operator=(ContentHasher&&) noexcept = default;

void ContentHasher::add(std::span<const std::byte> bytes) {
  DW_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string ContentHasher::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  DW_CHECK(EVP_DigestFinal_ex(state_->context, digest, &size) == 1);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) fmt::format_to(std::back_inserter(hex), "{:02x}", digest[i]);
  return hex;
}

}  // namespace deepwell
