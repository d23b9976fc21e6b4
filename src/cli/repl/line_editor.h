// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <memory>
#include <string>

namespace deepwell {

/// Lines from a person: libedit with history when `in` and `out` are a terminal, else plain lines.
class LineEditor {
 public:
  enum class Event { kLine, kInterrupted, kEnd };  ///< a line; Ctrl-C; Ctrl-D or the end of the input
  struct Input {
    Event event;
    std::string text;  ///< UTF-8 without the line break; a pasted block keeps its inner line breaks
  };

  /// `history_file` may be empty (no history). It is made with mode 0600, its folder with 0700; a history
  /// that cannot be read or written is no reason not to talk.
  static std::unique_ptr<LineEditor> open(std::FILE* in, std::FILE* out, std::string history_file);
  virtual ~LineEditor() = default;

  virtual Input read(const std::string& prompt) = 0;
  /// Keeps `entry` for the arrow keys and for the next session.
  virtual void remember(const std::string& entry) = 0;
  virtual bool interactive() const = 0;
};

/// $XDG_STATE_HOME/deepwell/history, else ~/.local/state/deepwell/history; empty without a home.
std::string default_history_file();

}  // namespace deepwell
