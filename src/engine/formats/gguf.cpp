// SPDX-License-Identifier: Apache-2.0
// open_gguf: one file, or all parts of a split set as one model.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/human.h"
#include "base/mapped_file.h"
#include "engine/formats/file_place.h"
#include "engine/formats/gguf_part.h"
#include "engine/formats/gguf_split.h"
#include "engine/formats/listed_model_file.h"

namespace deepwell {
namespace {

struct OpenPart {
  std::string path;
  MappedFile file;
  GgufPart content;
};

Result<OpenPart> open_part(const std::string& path) {
  DW_TRY(MappedFile file, MappedFile::open(path));
  DW_TRY(GgufPart content, parse_gguf_part(file.bytes(), path));
  return OpenPart{path, std::move(file), std::move(content)};
}

class GgufFile final : public ListedModelFile, public PlacedFile {
 public:
  explicit GgufFile(std::string path) : ListedModelFile(std::move(path)) {}
  static Result<std::unique_ptr<ModelFile>> join(std::string path, std::vector<OpenPart> parts);

  void release(std::span<const std::byte> bytes) const override {
    if (!bytes.empty()) files_[owner(bytes)].release(bytes);
  }
  FilePlace place(std::span<const std::byte> bytes) const override {
    const std::size_t file = owner(bytes);
    return {paths_[file], bytes.data() - files_[file].bytes().data()};
  }

 private:
  /// The index of the file that holds them.
  std::size_t owner(std::span<const std::byte> bytes) const {
    const auto holds = [&](const MappedFile& file) {
      const auto all = file.bytes();
      // std::less: pointers into different mappings have no built-in order.
      return !std::less<>{}(bytes.data(), all.data()) &&
             !std::less<>{}(all.data() + all.size(), bytes.data() + bytes.size());
    };
    const auto owner = std::find_if(files_.begin(), files_.end(), holds);
    DW_CHECK(owner != files_.end());
    return static_cast<std::size_t>(owner - files_.begin());
  }

  std::vector<MappedFile> files_;
  std::vector<std::string> paths_;  // of files_
};

Result<std::unique_ptr<ModelFile>> GgufFile::join(std::string path, std::vector<OpenPart> parts) {
  auto model = std::make_unique<GgufFile>(std::move(path));
  model->metadata_ = std::move(parts.front().content.metadata);
  for (OpenPart& part : parts) {
    model->file_bytes_ += static_cast<std::int64_t>(part.file.bytes().size());
    for (FileTensor& tensor : part.content.tensors) {
      const std::string name = tensor.name;
      if (!model->add(std::move(tensor)))
        return Error{ErrorCode::kCorrupt,
                     fmt::format("{}: tensor '{}' is in two parts of the set: the parts belong to "
                                 "different models; fetch them again",
                                 printable(model->path_), printable(name))};
    }
    model->files_.push_back(std::move(part.file));
    model->paths_.push_back(std::move(part.path));
  }
  return std::unique_ptr<ModelFile>(std::move(model));
}

/// Every part of a set knows how many tensors the whole set has: parts of different models give themselves
/// away.
Status check_tensor_counts(const std::vector<OpenPart>& parts, const std::string& path) {
  std::int64_t tensors = 0;
  for (const OpenPart& part : parts) tensors += static_cast<std::int64_t>(part.content.tensors.size());
  for (const OpenPart& part : parts) {
    const auto said = part.content.metadata.integer("split.tensors.count");
    if (said != tensors)
      return Error{
          ErrorCode::kCorrupt,
          fmt::format(
              "{}: split.tensors.count of part {} says {} tensors but the {} parts hold {}: the parts "
              "belong to different models; fetch them again",
              printable(path), &part - parts.data() + 1, said.value_or(0), parts.size(), tensors)};
  }
  return Done{};
}

}  // namespace

Result<std::unique_ptr<ModelFile>> open_gguf(const std::string& path) {
  DW_TRY(OpenPart first, open_part(path));
  DW_TRY(const SplitPlace place, split_place(first.content.metadata, path));
  std::vector<OpenPart> parts;
  if (place.number != 0) {
    auto found = open_part(split_path(place, 0));
    if (!found.ok() && found.error().code == ErrorCode::kNotFound) return missing_split_part(place, 0);
    DW_TRY(first, std::move(found));
    DW_RETURN_IF_ERROR(check_split_part(first.content.metadata, place, 0));
  }
  parts.push_back(std::move(first));
  for (int i = 1; i < place.count; ++i) {
    const std::string part_path = split_path(place, i);
    auto part = open_part(part_path);
    if (!part.ok() && part.error().code == ErrorCode::kNotFound) return missing_split_part(place, i);
    if (!part.ok()) return std::move(part).error();
    DW_RETURN_IF_ERROR(check_split_part(part->content.metadata, place, i));
    parts.push_back(std::move(part).value());
  }
  if (place.count > 1) DW_RETURN_IF_ERROR(check_tensor_counts(parts, split_path(place, 0)));
  return GgufFile::join(place.count > 1 ? split_path(place, 0) : path, std::move(parts));
}

}  // namespace deepwell
