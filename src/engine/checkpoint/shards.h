// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "engine/checkpoint/safetensors.h"

namespace deepwell {

/// All safetensors files of a directory as one: those that model.safetensors.index.json names, or
/// model.safetensors, or the only one there is. Mapped; bytes live as long as this object.
class Shards {
 public:
  /// Errors name the file that is missing, cut short or contradicts another, and what to do.
  static Result<Shards> open(const std::string& folder);

  const SafetensorsEntry* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::size_t count() const { return entries_.size(); }
  std::int64_t file_bytes() const;
  void release(std::span<const std::byte> bytes) const;

 private:
  Status add(const std::string& path);
  std::vector<MappedFile> files_;
  std::vector<std::string> paths_;
  struct Place {
    SafetensorsEntry entry;
    std::size_t file;
  };
  std::map<std::string, Place, std::less<>> entries_;
};

}  // namespace deepwell
