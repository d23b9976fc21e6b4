// SPDX-License-Identifier: Apache-2.0
// Goal: every template gives byte for byte what Jinja2 gives under transformers' settings, marks or no marks.
// Method: goldens of scripts/golden_chat.py; parts joined must equal Python's text, and fail where it fails.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "text/chat/chat_template.h"

namespace deepwell {
namespace {

/// Every family's at once: harmless where a template does not use them.
const std::vector<std::string> kSpecials = {"<|im_start|>",
                                            "<|im_end|>",
                                            "<|start_header_id|>",
                                            "<|end_header_id|>",
                                            "<|eot_id|>",
                                            "<s>",
                                            "</s>",
                                            "[INST]",
                                            "[/INST]",
                                            "<|user|>",
                                            "<|assistant|>",
                                            "<|end|>",
                                            "<｜User｜>",
                                            "<｜Assistant｜>",
                                            "<｜end▁of▁sentence｜>",
                                            "<think>",
                                            "</think>",
                                            "<tool_call>",
                                            "</tool_call>",
                                            "[AVAILABLE_TOOLS]",
                                            "[TOOL_RESULTS]",
                                            "<|endoftext|>",
                                            "<｜tool▁calls▁begin｜>",
                                            "<｜tool▁output▁begin｜>"};

std::string joined(const std::vector<PromptPart>& parts) {
  std::string text;
  for (const PromptPart& part : parts) text += part.text;
  return text;
}

class ChatGoldenTest : public testing::TestWithParam<const char*> {};

TEST_P(ChatGoldenTest, EqualsJinja2) {
  std::ifstream file(std::string(DEEPWELL_SOURCE_DIR "/tests/golden/chat/") + GetParam());
  const auto golden = nlohmann::ordered_json::parse(file);  // the order of keys shows in prompts
  int checked = 0, refused = 0;
  for (const auto& row : golden.at("rows")) {
    const std::string name = row.at(0);
    const auto& templates = golden.at("templates");
    const std::string source = templates.contains(name) ? templates.at(name).get<std::string>() : name;
    SCOPED_TRACE(name + ", conversation " + row.at(1).dump());
    for (const bool guarded : {true, false}) {
      const auto compiled = ChatTemplate::compile(source, guarded ? kSpecials : std::vector<std::string>{});
      const auto context = golden.at("contexts").at(row.at(1).get<std::size_t>()).dump();
      const Result<std::vector<PromptPart>> parts =
          compiled ? (*compiled)->render(context) : compiled.error();
      if (row.at(2).is_null()) {
        EXPECT_FALSE(parts.ok()) << (parts.ok() ? joined(*parts) : std::string());
        if (!parts.ok()) {
          const std::string& message = parts.error().message;
          EXPECT_NE(message.find(row.at(3).get<std::string>()), std::string::npos) << message;
        }
        ++refused;
      } else {
        ASSERT_TRUE(parts.ok()) << parts.error().message;
        const std::string got = joined(*parts), want = row.at(2);
        EXPECT_TRUE(got == want) << "got:  " << got << "\nwant: " << want;  // readable, also in Chinese
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 100);
  EXPECT_GT(refused, 5);
}
INSTANTIATE_TEST_SUITE_P(Files, ChatGoldenTest, testing::Values("templates.json", "features.json"),
                         [](const auto& file) {
                           const std::string name = file.param;
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace deepwell
