// SPDX-License-Identifier: Apache-2.0
// A form's fields come back as they were sent, whatever bytes a file holds; what is no form is none.
#include "net/http/multipart.h"

#include <gtest/gtest.h>

namespace deepwell::http {
namespace {

TEST(Multipart, FieldsComeBackAsTheyWereSent) {
  const std::string file("line\r\n--X not the mark\0\xff\r\n", 27);
  const std::string body =
      "--XyZ\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--XyZ\r\n"
      "Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name=file; "
      "filename=\"a \\\"b\\\".jsonl\"\r\n\r\n" +
      file + "\r\n--XyZ--\r\n";
  for (const char* type :
       {"multipart/form-data; boundary=XyZ", "Multipart/Form-Data; charset=utf-8; boundary=\"XyZ\""}) {
    const auto form = parse_form(type, body);
    ASSERT_TRUE(form.has_value()) << type;
    ASSERT_EQ(form->size(), 2U);
    EXPECT_EQ((*form)[0].name, "purpose");
    EXPECT_EQ((*form)[0].body, "batch");
    EXPECT_EQ((*form)[1].name, "file");
    EXPECT_EQ((*form)[1].filename, "a \"b\".jsonl");
    EXPECT_EQ((*form)[1].body, file);
  }
  EXPECT_TRUE(parse_form("multipart/form-data; boundary=B", "--B--")->empty());
}

TEST(Multipart, WhatIsNoFormIsNone) {
  const std::string whole = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--B--";
  ASSERT_TRUE(parse_form("multipart/form-data; boundary=B", whole).has_value());
  for (const char* type : {"", "application/json", "multipart/form-data", "multipart/form-data; boundary=",
                           "multipart/form-data; boundary=\"B", "multipart/mixed; boundary=B"}) {
    const bool quoted_without_end = std::string_view(type).ends_with("\"B");
    EXPECT_EQ(parse_form(type, whole).has_value(), quoted_without_end) << type;
  }
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_FALSE(parse_form("multipart/form-data; boundary=B", whole.substr(0, cut)).has_value()) << cut;
  std::string many;
  for (int i = 0; i < 40; ++i) many += "--B\r\n\r\nx\r\n";
  EXPECT_FALSE(parse_form("multipart/form-data; boundary=B", many + "--B--").has_value());
}

}  // namespace
}  // namespace deepwell::http
