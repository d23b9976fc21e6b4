// SPDX-License-Identifier: Apache-2.0
#include "server/request/raw_prompts.h"

#include <fmt/format.h>

#include <limits>

namespace deepwell {
namespace {

bool read_tokens(const Json& list, std::vector<Token>& out) {
  for (const Json& one : list) {
    if (!one.is_number_integer()) return false;
    const auto id = one.get<std::int64_t>();
    if (id < 0 || id > std::numeric_limits<Token>::max()) return false;
    out.push_back(static_cast<Token>(id));
  }
  return true;
}

}  // namespace

void read_raw_prompts(JsonReader& reader, const char* name, std::size_t most,
                      std::vector<Request::RawPrompt>& out) {
  const Json* prompt = reader.any(name);
  if (!reader.ok()) return;
  if (prompt == nullptr) return reader.fail(name, fmt::format("'{}' is missing", name));
  const std::string expected = fmt::format(
      "'{}' must be a string, a list of strings, a list of token ids, or a list of such lists", name);
  if (prompt->is_string()) {
    out.emplace_back(prompt->get<std::string>());
    return;
  }
  if (!prompt->is_array() || prompt->empty()) return reader.fail(name, expected);
  if (prompt->front().is_number()) {
    std::vector<Token> tokens;
    if (!read_tokens(*prompt, tokens)) return reader.fail(name, expected);
    out.emplace_back(std::move(tokens));
    return;
  }
  if (prompt->size() > most)
    return reader.fail(name, fmt::format("'{}' takes at most {} at once", name, most));
  for (const Json& one : *prompt) {
    if (one.is_string()) {
      out.emplace_back(one.get<std::string>());
      continue;
    }
    std::vector<Token> tokens;
    if (!one.is_array() || !read_tokens(one, tokens)) return reader.fail(name, expected);
    out.emplace_back(std::move(tokens));
  }
}

}  // namespace deepwell
