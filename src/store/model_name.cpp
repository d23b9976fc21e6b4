// SPDX-License-Identifier: Apache-2.0
#include "store/model_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/human.h"

namespace deepwell {
namespace {

constexpr std::string_view kModelScopeFolder = "modelscope.cn--";

struct Prefix {
  std::string_view text;
  Hub hub;
};
constexpr Prefix kPrefixes[] = {
    {"hf.co/", Hub::kHuggingFace},
    {"huggingface.co/", Hub::kHuggingFace},
    {"modelscope.cn/", Hub::kModelScope},
    {"www.modelscope.cn/models/", Hub::kModelScope},
    {"modelscope.cn/models/", Hub::kModelScope},
};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

// As the hubs allow; "--" would make cache folders ambiguous, "." and ".." would leave them.
bool is_repo_part(std::string_view part) {
  return !part.empty() && part.size() <= 96 && part.front() != '.' && part.front() != '-' &&
         part.back() != '.' && part.find("--") == part.npos && part.find("..") == part.npos &&
         std::all_of(part.begin(), part.end(), is_name_character);
}

Error not_a_name(std::string_view text) {
  return {ErrorCode::kInvalid,
          fmt::format("'{}' is not the name of a model; write default, hf.co/OWNER/REPO[:QUANT] "
                      "or modelscope.cn/OWNER/REPO[:QUANT]",
                      printable(text, 200))};
}

}  // namespace

std::string ModelName::text() const {
  if (hub == Hub::kDefault) return "default";
  return fmt::format("{}/{}/{}{}{}", hub == Hub::kHuggingFace ? "hf.co" : "modelscope.cn", owner, repo,
                     tag.empty() ? "" : ":", tag);
}

std::string ModelName::folder() const {
  if (hub == Hub::kDefault) return "models--deepwell--default";
  return fmt::format("models--{}{}--{}", hub == Hub::kModelScope ? kModelScopeFolder : "", owner, repo);
}

Result<ModelName> parse_model_name(std::string_view text) {
  ModelName name;
  if (text == "default") return ModelName{Hub::kDefault, "deepwell", "default", ""};
  std::string_view rest = text;
  if (rest.starts_with("https://")) rest.remove_prefix(8);
  // The longest prefix that fits: modelscope.cn/models/ before modelscope.cn/.
  const Prefix* best = nullptr;
  for (const Prefix& prefix : kPrefixes)
    if (rest.starts_with(prefix.text) && (best == nullptr || prefix.text.size() > best->text.size()))
      best = &prefix;
  if (best != nullptr) {
    name.hub = best->hub;
    rest.remove_prefix(best->text.size());
  } else if (rest.size() != text.size()) {
    return not_a_name(text);
  }
  if (const std::size_t colon = rest.find(':'); colon != rest.npos) {
    name.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_safe_path(name.tag)) return not_a_name(text);
  }
  const std::size_t slash = rest.find('/');
  if (slash == rest.npos) return not_a_name(text);
  name.owner = rest.substr(0, slash);
  name.repo = rest.substr(slash + 1);
  if (!is_repo_part(name.owner) || !is_repo_part(name.repo)) return not_a_name(text);
  return name;
}

Result<ModelName> parse_cache_folder(std::string_view folder) {
  const Error wrong{ErrorCode::kInvalid, "not a model's folder"};
  if (!folder.starts_with("models--")) return wrong;
  if (folder == "models--deepwell--default") return ModelName{Hub::kDefault, "deepwell", "default", ""};
  folder.remove_prefix(8);
  ModelName name;
  if (folder.starts_with(kModelScopeFolder)) {
    name.hub = Hub::kModelScope;
    folder.remove_prefix(kModelScopeFolder.size());
  }
  const std::size_t border = folder.find("--");
  if (border == folder.npos) return wrong;  // the few repositories without an owner are no GGUF models
  name.owner = folder.substr(0, border);
  name.repo = folder.substr(border + 2);
  if (!is_repo_part(name.owner) || !is_repo_part(name.repo)) return wrong;
  return name;
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > 1024 || !is_utf8(path)) return false;
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\') return false;
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace deepwell
