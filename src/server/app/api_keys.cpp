// SPDX-License-Identifier: Apache-2.0
#include "server/app/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace deepwell {

ApiKeys::Digest ApiKeys::digest_of(std::string_view key) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

Result<ApiKeys> ApiKeys::load(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Error{ErrorCode::kIo, "cannot read the API keys in " + path + ": " + std::strerror(errno)};
  }
  ApiKeys keys;
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    const auto last = line.find_last_not_of(" \t\r");
    keys.add(std::string_view(line).substr(first, last - first + 1));
  }
  if (keys.empty()) return Error{ErrorCode::kInvalid, path + " holds no key; write one key a line"};
  return keys;
}

void ApiKeys::add(std::string_view key) { digests_.push_back(digest_of(key)); }

bool ApiKeys::allows(std::string_view key) const {
  const Digest wanted = digest_of(key);
  int found = 0;
  for (const Digest& digest : digests_) {  // all of them: the time must not tell which matched
    found |= static_cast<int>(CRYPTO_memcmp(digest.data(), wanted.data(), wanted.size()) == 0);
  }
  return found != 0;
}

}  // namespace deepwell
