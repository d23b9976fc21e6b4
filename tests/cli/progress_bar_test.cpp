// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_bar.h"

#include <gtest/gtest.h>

namespace deepwell {
namespace {

TEST(SpeedMeter, IsSteadyAndForgetsOldTimes) {
  SpeedMeter meter;
  EXPECT_EQ(meter.bytes_per_second(), std::nullopt);
  for (int i = 0; i <= 100; ++i) meter.add(i * 0.1, i * 1000);
  EXPECT_NEAR(meter.bytes_per_second().value(), 10'000, 1);
  for (int i = 1; i <= 200; ++i) meter.add(10 + i * 0.1, 100'000);  // nothing comes for 20 s
  EXPECT_NEAR(meter.bytes_per_second().value(), 0, 1);
}

TEST(SpeedMeter, OneSlowSecondMovesItLittle) {
  SpeedMeter meter;
  for (int i = 0; i <= 8; ++i) meter.add(i, i * 1000);
  meter.add(9, 8000);
  EXPECT_GT(meter.bytes_per_second().value(), 800);
}

TEST(SpeedMeter, StartsAnewWhenADownloadDoes) {
  SpeedMeter meter;
  meter.add(0, 0);
  meter.add(1, 1'000'000);
  meter.add(2, 0);
  EXPECT_EQ(meter.bytes_per_second(), std::nullopt);
  meter.add(3, 500);
  EXPECT_NEAR(meter.bytes_per_second().value(), 500, 1);
}

TEST(TransferLine, ShowsAllAndFitsTheTerminal) {
  const TransferState state{"folder/m.Q4_K_M.gguf", 44'100'000, 98'400'000, 12'300'000.0};
  EXPECT_EQ(transfer_line(state, 110),
            "m.Q4_K_M.gguf   44 % [=============>                ] 44.1 MB of 98.4 MB, 12.3 MB/s, 4s left");
  for (int columns = 20; columns < 200; ++columns) {
    const std::string line = transfer_line(state, columns);
    EXPECT_LE(static_cast<int>(line.size()), columns);
    EXPECT_NE(line.find("44 %"), std::string::npos) << line;
  }
}

TEST(TransferLine, SaysHundredOnlyWhenAllIsThere) {
  EXPECT_NE(transfer_line({"m", 999'999'999, 1'000'000'000, 1e6}, 100).find(" 99 %"), std::string::npos);
  EXPECT_NE(transfer_line({"m", 1'000'000'000, 1'000'000'000, 1e6}, 100).find("100 %"), std::string::npos);
  EXPECT_NE(transfer_line({"m", 0, 0, std::nullopt}, 100).find("  0 %"), std::string::npos);
  EXPECT_NE(transfer_line({"m", 5, 10, 0.0}, 100).find("stalled"), std::string::npos);
}

}  // namespace
}  // namespace deepwell
