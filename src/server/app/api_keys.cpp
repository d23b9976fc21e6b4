// SPDX-License-Identifier: Apache-2.0
#include "server/app/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace deepwell {
namespace {
constexpr std::string_view kHashed = "sha256:";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

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
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    const auto last = line.find_last_not_of(" \t\r");
    const std::string_view key = std::string_view(line).substr(first, last - first + 1);
    if (!key.starts_with(kHashed)) {
      keys.add(key);
    } else if (!keys.add_hashed(key.substr(kHashed.size()))) {
      return Error{ErrorCode::kInvalid,
                   fmt::format("{}: line {}: after sha256: come 64 hexadecimal digits", path, number)};
    }
  }
  if (keys.empty()) return Error{ErrorCode::kInvalid, path + " holds no key; write one key a line"};
  return keys;
}

void ApiKeys::add(std::string_view key) { digests_.push_back(digest_of(key)); }

bool ApiKeys::add_hashed(std::string_view digits) {
  Digest digest{};
  if (digits.size() != digest.size() * 2) return false;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = hex_digit(digits[2 * i]), low = hex_digit(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    digest[i] = static_cast<unsigned char>(high * 16 + low);
  }
  digests_.push_back(digest);
  return true;
}

std::string ApiKeys::user_of(std::string_view key) {
  const Digest digest = digest_of(key);
  std::string name;
  for (std::size_t i = 0; i < 8; ++i) name += fmt::format("{:02x}", digest[i]);
  return name;
}

bool ApiKeys::allows(std::string_view key) const {
  const Digest wanted = digest_of(key);
  int found = 0;
  for (const Digest& digest : digests_) {  // all of them: the time must not tell which matched
    found |= static_cast<int>(CRYPTO_memcmp(digest.data(), wanted.data(), wanted.size()) == 0);
  }
  return found != 0;
}

}  // namespace deepwell
