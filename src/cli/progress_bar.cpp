// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"

namespace deepwell {

constexpr double kWindow = 8;  // seconds

void SpeedMeter::add(double time_seconds, std::int64_t bytes) {
  if (!samples_.empty() && bytes < samples_.back().bytes) samples_.clear();
  samples_.push_back({time_seconds, bytes});
  while (samples_.size() > 2 && samples_.front().time < time_seconds - kWindow) samples_.pop_front();
}

std::optional<double> SpeedMeter::bytes_per_second() const {
  if (samples_.size() < 2) return std::nullopt;
  const double seconds = samples_.back().time - samples_.front().time;
  if (seconds < 0.5) return std::nullopt;
  return static_cast<double>(samples_.back().bytes - samples_.front().bytes) / seconds;
}

std::string transfer_line(const TransferState& state, int columns) {
  const std::int64_t total = std::max<std::int64_t>(state.total, 0);
  const double fraction =
      total == 0 ? 0 : std::clamp(static_cast<double>(state.done) / static_cast<double>(total), 0.0, 1.0);
  std::string amounts = fmt::format("{} of {}", human_bytes(state.done), human_bytes(total));
  if (state.bytes_per_second) {
    amounts += fmt::format(", {}/s", human_bytes(static_cast<std::int64_t>(*state.bytes_per_second)));
    if (state.done < total)
      amounts += *state.bytes_per_second < 1
                     ? ", stalled"
                     : fmt::format(", {} left", human_duration(static_cast<double>(total - state.done) /
                                                               *state.bytes_per_second));
  }
  // Rounded down: 100 % means that nothing is missing.
  const std::string percent = fmt::format("{:>3} %", static_cast<int>(fraction * 100));
  const int room = columns - static_cast<int>(percent.size() + amounts.size()) - 4;
  constexpr int kBarMin = 10, kBarMax = 30, kNameMin = 12;
  std::string bar, name;
  if (room >= kBarMin + 3) {
    const int width =
        std::min(kBarMax, room >= kBarMin + 3 + kNameMin ? std::max(kBarMin, room / 2) : room - 3);
    const int filled = static_cast<int>(fraction * width);
    bar = "[" + std::string(static_cast<std::size_t>(filled), '=') + (filled < width ? ">" : "") +
          std::string(static_cast<std::size_t>(std::max(0, width - filled - 1)), ' ') + "] ";
    const int left = room - width - 3;
    if (left >= kNameMin) {
      name = printable(state.file.substr(state.file.rfind('/') + 1), static_cast<std::size_t>(left - 4));
      name += "  ";
    }
  }
  std::string line = fmt::format("{}{} {}{}", name, percent, bar, amounts);
  if (columns > 0 && static_cast<int>(line.size()) > columns) line.resize(static_cast<std::size_t>(columns));
  return line;
}

}  // namespace deepwell
