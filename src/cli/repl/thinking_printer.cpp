// SPDX-License-Identifier: Apache-2.0
#include "cli/repl/thinking_printer.h"

namespace deepwell {
namespace {
constexpr const char* kDim = "\033[2m";
constexpr const char* kPlain = "\033[0m";
}  // namespace

std::string ThinkingPrinter::show(std::string text, bool thinking) {
  if (!thinking) return end() + text;
  if (!terminal_) return "";
  const bool begins = !thinking_;
  thinking_ = true;
  if (hidden_) return begins ? std::string(kDim) + "(thinking)" + kPlain : "";
  return (begins ? kDim : "") + std::move(text);
}

std::string ThinkingPrinter::end() {
  if (!thinking_) return "";
  thinking_ = false;
  return std::string(hidden_ ? "" : kPlain) + "\n\n";
}

}  // namespace deepwell
