// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace deepwell {

/// Speed over the last seconds, so that neither one slow second nor the start of a long download moves it
/// much.
class SpeedMeter {
 public:
  /// Bytes so far at a time in seconds. Going back (a download that starts over) forgets what was.
  void add(double time_seconds, std::int64_t bytes);
  /// Nothing before two measurements at least half a second apart.
  std::optional<double> bytes_per_second() const;

 private:
  struct Sample {
    double time;
    std::int64_t bytes;
  };
  std::deque<Sample> samples_;  // of the last kWindow seconds
};

struct TransferState {
  std::string_view file;
  std::int64_t done = 0, total = 0;
  std::optional<double> bytes_per_second;
};
/// "m.gguf  45 % [=====>     ] 44.1 MB of 98.4 MB, 12.3 MB/s, 4s left", at most `columns` wide. 100 % only
/// when all is there.
std::string transfer_line(const TransferState& state, int columns);

}  // namespace deepwell
