// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace deepwell {

/// Sets a model's thinking apart from its answer: dim on a terminal, left out elsewhere; where it is hidden,
/// one line says that there is some.
class ThinkingPrinter {
 public:
  ThinkingPrinter(bool terminal, bool hidden) : terminal_(terminal), hidden_(hidden) {}
  std::string show(std::string text, bool thinking);  ///< what to print for it
  std::string end();                                  ///< nothing more comes

 private:
  bool terminal_, hidden_, thinking_ = false;
};

}  // namespace deepwell
