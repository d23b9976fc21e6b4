// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace deepwell {
namespace {

TEST(ByteReader, NeverReadsPastTheEnd) {
  ByteReader reader(as_raw_bytes(std::string_view("\x01\x02\x03\x04\x05", 5)));
  EXPECT_EQ(reader.read<std::uint32_t>(), 0x04030201U);
  EXPECT_EQ(reader.read<std::uint16_t>(), std::nullopt);
  EXPECT_EQ(reader.offset(), 4U);
  EXPECT_FALSE(reader.read_bytes(2).has_value());
  EXPECT_FALSE(reader.read_bytes(~std::size_t{0}).has_value());
  EXPECT_EQ(reader.read<std::int8_t>(), 5);
  EXPECT_EQ(reader.remaining(), 0U);
  EXPECT_TRUE(reader.read_bytes(0).has_value());
}

TEST(Utf8, TakesExactlyTheWellFormed) {
  for (const char* good : {"", "ascii", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
                           "a\xe4\xb8\xad"
                           "b"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe4\xb8",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe4\xb8z"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

}  // namespace
}  // namespace deepwell
