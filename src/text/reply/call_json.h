// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace deepwell {

/// Reads {"name": "f", "arguments": {...}} byte by byte ("parameters" is another word for arguments). The
/// arguments are handed on as they are written; what stands in them is not judged.
class CallJson {
 public:
  enum class State { kMore, kDone, kBad };
  /// `strict`: a key that no call has makes it kBad.
  explicit CallJson(bool strict = false) : strict_(strict) {}
  State push(char c);
  bool has_name() const { return has_name_; }
  const std::string& name() const { return name_; }
  std::string take_arguments() { return std::exchange(arguments_, {}); }
  bool in_string() const { return in_string_; }

 private:
  enum class At { kOpen, kFirstKey, kKey, kColon, kValue, kAfter };
  enum class Field { kName, kArguments, kOther };
  State in_value(char c);
  void begin_value(char c);

  bool strict_;
  At at_ = At::kOpen;
  Field field_ = Field::kOther;
  bool in_string_ = false, escaped_ = false, scalar_ = false, has_name_ = false;
  std::uint32_t depth_ = 0;  // of brackets inside the value
  std::string text_;         // of the key, or of the name as it is written
  std::string name_, arguments_;
};

}  // namespace deepwell
