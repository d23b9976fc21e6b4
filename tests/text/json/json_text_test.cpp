// SPDX-License-Identifier: Apache-2.0
// Goal: JSON is looked into as it is written, and rewritten as json.dumps (or serde_json) writes it.
#include "text/json/json_text.h"

#include <gtest/gtest.h>

namespace deepwell {
namespace {

TEST(JsonText, RewritesAsPythonDoes) {
  const auto python = [](std::string_view text) { return json_rewritten(text, NumberStyle::kPython); };
  EXPECT_EQ(python(R"( {"b":1 , "a":[true,null,{ }], "é":"\u00e9\ud83d\ude00\/\u0007\u007f"} )"),
            "{\"b\": 1, \"a\": [true, null, {}], \"é\": \"é😀/\\u0007\x7f\"}");
  EXPECT_EQ(
      python("[1e5,1e-5,0.0001,1e16,1E15,1.50,-0.0,-0,123456789012345678901,1.5e-7,12.25e1]"),
      "[100000.0, 1e-05, 0.0001, 1e+16, 1000000000000000.0, 1.5, -0.0, 0, 123456789012345678901, 1.5e-07, "
      "122.5]");
}

TEST(JsonText, RewritesNumbersAsRustDoes) {
  EXPECT_EQ(json_rewritten("[1e-5,1e-6,0.00001234,1e22,1e16,1.2345678901234568e17,-0,5]", NumberStyle::kRust),
            "[0.00001, 1e-6, 0.00001234, 1e+22, 1e+16, 1.2345678901234568e+17, -0.0, 5]");
}

TEST(JsonText, FindsMembers) {
  const std::string_view object = R"({"a":{"x":[1,"}"]},"b\"":"]","a":2})";
  const auto members = json_members(object);
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].second, R"({"x":[1,"}"]})");
  EXPECT_EQ(members[1].first, "b\"");
  EXPECT_EQ(json_member(object, "a"), "2");
  EXPECT_EQ(json_member(object, "none"), "");
  EXPECT_TRUE(json_members("[]").empty());
  EXPECT_TRUE(json_members("{}").empty());
}

}  // namespace
}  // namespace deepwell
