// SPDX-License-Identifier: Apache-2.0
#include "text/deepseek/deepseek.h"

#include <algorithm>

#include "text/deepseek/prompt_writer.h"

namespace deepwell {
namespace {

struct Language {
  std::string_view name;
  std::unique_ptr<PromptEncoder> (*make)();
};
constexpr Language kLanguages[] = {
    {"deepseek-v2", make_v2_encoder},
    {"deepseek-v3", [] { return make_v3_encoder(false); }},
    {"deepseek-r1", [] { return make_v3_encoder(true); }},
    {"deepseek-v3.1", make_v31_encoder},
    {"deepseek-v3.2", make_v32_encoder},
    {"deepseek-v4", [] { return make_v4_encoder(V4Generation::kPreview); }},
    {"deepseek-v4-0731", [] { return make_v4_encoder(V4Generation::k0731); }},
    {"deepseek-v4.1", [] { return make_v4_encoder(V4Generation::k41); }},
};

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

}  // namespace

std::vector<std::string> deepseek_languages() {
  std::vector<std::string> names;
  for (const Language& language : kLanguages) names.emplace_back(language.name);
  return names;
}

std::unique_ptr<PromptEncoder> make_deepseek_encoder(std::string_view name) {
  for (const Language& language : kLanguages) {
    if (language.name == name) return language.make();
  }
  return nullptr;
}

std::string_view deepseek_language_of(const ModelSigns& signs) {
  const std::string_view own = signs.chat_template;
  const std::string name = lower(signs.name);
  if (!signs.has_token(kEos)) return "";
  if (!signs.has_token(kUser)) {
    // V2 and older say their roles in words. Coder V1 has words of its own, in its template.
    const bool v2 = signs.architecture == "deepseek" || signs.architecture == "deepseek2";
    return v2 && (own.empty() || holds(own, "Assistant:")) ? "deepseek-v2" : "";
  }
  // A template that does not speak of these turns belongs to somebody's own training.
  if (!own.empty() && !holds(own, kUser)) return "";
  if (signs.architecture == "deepseek41") return "deepseek-v4.1";
  if (signs.architecture == "deepseek4") {
    const bool later = holds(own, "Beyond maximum") || holds(name, "0731") || holds(name, "0813");
    return later ? "deepseek-v4-0731" : "deepseek-v4";
  }
  if (signs.has_token("｜DSML｜")) return "deepseek-v3.2";
  const bool distilled =
      signs.architecture == "llama" || signs.architecture == "qwen2" || signs.architecture == "qwen3";
  if (distilled) return "deepseek-r1";
  if (signs.architecture == "deepseek32") return "deepseek-v3.1";  // V3.2-Exp
  if (signs.architecture != "deepseek2") return "";
  if (!own.empty()) {
    if (holds(own, "is_last_user") && holds(own, "thinking") && holds(own, kThinkEnd)) return "deepseek-v3.1";
    if (holds(own, "<think>\\n") || holds(own, "<think>\n")) return "deepseek-r1";
  }
  if (holds(name, "r1")) return "deepseek-r1";
  if (holds(name, "v3.1") || holds(name, "v3_1")) return "deepseek-v3.1";
  // V2.5 says its turns in tokens too; its revisions differ, so its template decides.
  if (holds(name, "v2")) return "";
  return "deepseek-v3";
}

}  // namespace deepwell
