// SPDX-License-Identifier: Apache-2.0
#include "server/access/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

#include "base/human.h"

namespace deepwell {
namespace {
constexpr std::string_view kHashed = "sha256:";
constexpr std::string_view kSpace = " \t\r";
constexpr std::int64_t kLimitMax = INT64_C(1'000'000'000'000);

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string hex(std::span<const unsigned char> bytes) {
  std::string digits;
  for (const unsigned char byte : bytes) digits += fmt::format("{:02x}", byte);
  return digits;
}

/// The next word of `rest`, taken off; "" at the end.
std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(kSpace), rest.size()));
  const std::string_view word = rest.substr(0, rest.find_first_of(kSpace));
  rest.remove_prefix(word.size());
  return word;
}

Error invalid(std::string message) { return {ErrorCode::kInvalid, std::move(message)}; }

Status set_limit(std::int64_t& limit, std::string_view name, std::string_view value) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size() || number < 1 ||
      number > kLimitMax)
    return invalid(fmt::format("{}= wants a whole number from 1 to {}, not '{}'", name, kLimitMax,
                               printable(value, 40)));
  limit = number;
  return Done{};
}

Status set(ApiKey& key, std::string_view word) {
  const std::size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? "" : word.substr(equals + 1);
  if (name == "name") {
    if (!is_key_name(value))
      return invalid(
          fmt::format("name= wants 1 to 64 letters, digits and ._@-, not '{}'", printable(value, 80)));
    key.name = std::string(value);
    return Done{};
  }
  if (name == "role") {
    if (value != "user" && value != "admin")
      return invalid(fmt::format("role= is user or admin, not '{}'", printable(value, 40)));
    key.role = value == "admin" ? Role::kAdmin : Role::kUser;
    return Done{};
  }
  if (name == "requests-per-minute") return set_limit(key.limits.requests_per_minute, name, value);
  if (name == "tokens-per-minute") return set_limit(key.limits.tokens_per_minute, name, value);
  if (name == "parallel-requests") return set_limit(key.limits.parallel, name, value);
  // Not the word itself: it may be a part of a key.
  return invalid(
      "after the key come name=, role=, requests-per-minute=, tokens-per-minute= and parallel-requests= "
      "only");
}
}  // namespace

std::array<unsigned char, 32> digest_of_key(std::string_view key) {
  std::array<unsigned char, 32> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

bool is_key_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '@' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), fits);
}

const char* role_name(Role role) { return role == Role::kAdmin ? "admin" : "user"; }

std::string ApiKey::id() const { return hex(std::span(digest).first(8)); }

std::string ApiKey::line() const {
  std::string text = std::string(kHashed) + hex(digest);
  if (!name.empty()) text += " name=" + name;
  text += std::string(" role=") + role_name(role);
  if (limits.requests_per_minute > 0)
    text += fmt::format(" requests-per-minute={}", limits.requests_per_minute);
  if (limits.tokens_per_minute > 0) text += fmt::format(" tokens-per-minute={}", limits.tokens_per_minute);
  if (limits.parallel > 0) text += fmt::format(" parallel-requests={}", limits.parallel);
  return text;
}

bool ApiKeys::is_key_line(std::string_view line) {
  const auto first = line.find_first_not_of(kSpace);
  return first != std::string_view::npos && line[first] != '#';
}

Result<ApiKey> ApiKeys::parse_line(std::string_view line) {
  ApiKey key;
  std::string_view word = next_word(line);
  if (!word.starts_with(kHashed)) {
    key.digest = digest_of_key(word);
  } else {
    word.remove_prefix(kHashed.size());
    bool good = word.size() == key.digest.size() * 2;
    for (std::size_t i = 0; good && i < key.digest.size(); ++i) {
      const int high = hex_digit(word[2 * i]), low = hex_digit(word[2 * i + 1]);
      good = high >= 0 && low >= 0;
      if (good) key.digest[i] = static_cast<unsigned char>(high * 16 + low);
    }
    if (!good) return invalid("after sha256: come 64 hexadecimal digits");
  }
  for (word = next_word(line); !word.empty(); word = next_word(line)) DW_RETURN_IF_ERROR(set(key, word));
  return key;
}

Result<ApiKeys> ApiKeys::parse(std::string_view text, const std::string& path) {
  ApiKeys keys;
  for (int number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!is_key_line(line)) continue;
    const auto wrong = [&](const std::string& what) {
      return invalid(fmt::format("{}: line {}: {}", path, number, what));
    };
    Result<ApiKey> key = parse_line(line);
    if (!key) return wrong(key.error().message);
    for (const ApiKey& other : keys.keys_) {
      if (other.digest == key->digest) return wrong("this key stands above already; remove one of the lines");
      if (!key->name.empty() && other.name == key->name)
        return wrong(fmt::format("another key above is called '{}'; rename one", key->name));
    }
    keys.keys_.push_back(std::move(*key));
  }
  return keys;
}

Result<ApiKeys> ApiKeys::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Error{ErrorCode::kIo, "cannot read the API keys in " + path + ": " + std::strerror(errno)};
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) return Error{ErrorCode::kIo, "cannot read the API keys in " + path};
  DW_TRY(ApiKeys keys, parse(text, path));
  if (keys.empty())
    return invalid(path + " holds no key; 'deepwell keys add NAME --api-key-file " + path + "' makes one");
  return keys;
}

void ApiKeys::add(std::string_view key, std::string name, Role role, KeyLimits limits) {
  keys_.push_back({digest_of_key(key), std::move(name), role, limits});
}

const ApiKey* ApiKeys::find(std::string_view key) const {
  const auto wanted = digest_of_key(key);
  const ApiKey* found = nullptr;
  for (const ApiKey& one : keys_) {  // all of them: the time must not tell which matched
    if (CRYPTO_memcmp(one.digest.data(), wanted.data(), wanted.size()) == 0) found = &one;
  }
  return found;
}

}  // namespace deepwell
