// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unordered_map>
#include <utility>

#include "engine/formats/model_file.h"

namespace deepwell {

/// A model file with its lists: what every kind of file has once it is read, and one that is made up, too.
class ListedModelFile : public ModelFile {
 public:
  const std::string& path() const final { return path_; }
  const Metadata& metadata() const final { return metadata_; }
  std::span<const FileTensor> tensors() const final { return tensors_; }
  const FileTensor* find(std::string_view name) const final {
    const auto found = index_.find(std::string(name));
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }
  std::int64_t file_bytes() const override { return file_bytes_; }
  void release(std::span<const std::byte> /*bytes*/) const override {}

 protected:
  explicit ListedModelFile(std::string path) : path_(std::move(path)) {}
  /// False: there is one of that name. Those added before may move.
  bool add(FileTensor tensor) {
    if (!index_.emplace(tensor.name, tensors_.size()).second) return false;
    tensors_.push_back(std::move(tensor));
    return true;
  }

  std::string path_;
  Metadata metadata_;
  std::vector<FileTensor> tensors_;  // names stay as they were added
  std::int64_t file_bytes_ = 0;

 private:
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace deepwell
