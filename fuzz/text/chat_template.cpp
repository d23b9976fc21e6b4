// SPDX-License-Identifier: Apache-2.0
// Any template source with any context, the two parted by the first zero byte: it compiles and renders, or
// says why not. Parts are never empty and alternate between template and user.
#include "text/chat/chat_template.h"

#include <cstdint>

#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\0');
  const std::string_view source = input.substr(0, cut);
  const auto compiled = deepwell::ChatTemplate::compile(
      std::string(source), {"<|im_start|>", "<|im_end|>", "<s>", "[INST]", "</think>"});
  if (!compiled) {
    DW_CHECK(!compiled.error().message.empty());
    return 0;
  }
  const std::string context(cut == std::string_view::npos ? "{\"messages\":[]}" : input.substr(cut + 1));
  const auto parts = (*compiled)->render(context);
  if (!parts) {
    DW_CHECK(!parts.error().message.empty());
    return 0;
  }
  bool last_from_template = false;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const deepwell::PromptPart& part = (*parts)[i];
    DW_CHECK(!part.text.empty());
    DW_CHECK(i == 0 || part.from_template != last_from_template);
    last_from_template = part.from_template;
  }
  return 0;
}
