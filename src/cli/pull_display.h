// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "cli/progress_bar.h"
#include "store/store.h"

namespace deepwell {

enum class PullStyle {
  kBar,    ///< a line on the terminal that is drawn anew
  kLines,  ///< a line at every step and every tenth, for logs
  kJson,   ///< one JSON object a line on stdout
  kQuiet,
};

/// Shows what a pull (or a conversion) does: on stderr, but for kJson.
class PullDisplay {
 public:
  explicit PullDisplay(PullStyle style) : style_(style) {}

  void show(const PullProgress& now);
  /// Ends the line that is being drawn.
  void end();

 private:
  void draw(const PullProgress& now);
  void print_line(const PullProgress& now, bool new_step);
  void print_json(const PullProgress& now, bool new_step);
  double seconds() const;

  PullStyle style_;
  SpeedMeter speed_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::string step_, note_, file_;
  std::int64_t tenth_ = -1;
  double shown_at_ = -1;
  bool drawn_ = false;
};

}  // namespace deepwell
