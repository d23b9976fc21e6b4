# SPDX-License-Identifier: Apache-2.0
# Writes ${IN} as a C++ source ${OUT} that defines chat_page(): pieces short enough for any compiler.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "((0x[0-9a-f][0-9a-f],)(0x[0-9a-f][0-9a-f],)(0x[0-9a-f][0-9a-f],)(0x[0-9a-f][0-9a-f],)(0x[0-9a-f][0-9a-f],)(0x[0-9a-f][0-9a-f],)(0x[0-9a-f][0-9a-f],)(0x[0-9a-f][0-9a-f],))" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "// Written by src/server/web/embed.cmake from index.html.
#include \"server/web/page.h\"
namespace deepwell {
namespace {
constexpr unsigned char kPage[] = {
${bytes}
};
}  // namespace
std::string_view chat_page() { return {reinterpret_cast<const char*>(kPage), sizeof kPage}; }
}  // namespace deepwell
")
