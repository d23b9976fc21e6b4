// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/lookalike.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/human.h"

namespace deepwell {
namespace {

using namespace std::string_view_literals;

struct Lookalike {
  std::string_view start;
  std::string_view meaning;
};

constexpr Lookalike kKnown[] = {
    {"version https://git-lfs.github.com/spec/"sv,
     "it is a Git LFS pointer, not the model itself; run `git lfs pull`, or fetch the file from the hub"},
    {"PK\x03\x04"sv,
     "it looks like a zip archive (a PyTorch checkpoint or a wheel); unpack it, or convert it with "
     "`deepwell convert`"},
    {"\x1f\x8b"sv, "it looks like a gzip archive; unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, "it looks like a zstd archive; unpack it first"},
    {"\xfd"
     "7zXZ"sv,
     "it looks like an xz archive; unpack it first"},
    {"BZh"sv, "it looks like a bzip2 archive; unpack it first"},
    {"7z\xbc\xaf"sv, "it looks like a 7z archive; unpack it first"},
    {"lmgg"sv, "it is a model in the old GGML format; get a GGUF of the model instead"},
    {"fmgg"sv, "it is a model in the old GGMF format; get a GGUF of the model instead"},
    {"tjgg"sv, "it is a model in the old GGJT format; get a GGUF of the model instead"},
    {"algg"sv, "it is a LoRA adapter in the old GGLA format; get a GGUF of it instead"},
    {"FUGG"sv, "it is a big-endian GGUF; convert the model again on a little-endian machine"},
    {"%PDF-"sv, "it looks like a PDF document; give a model file"},
};

bool starts_with_ignoring_case(std::string_view text, std::string_view start) {
  return text.size() >= start.size() &&
         std::equal(start.begin(), start.end(), text.begin(),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

// A safetensors file starts with the length of its JSON header, then the header.
bool looks_like_safetensors(std::span<const std::byte> file) {
  ByteReader reader(file);
  const auto length = reader.read<std::uint64_t>();
  const auto brace = reader.read<char>();
  return length && brace == '{' && *length >= 2 && *length <= file.size() - 8;
}

}  // namespace

std::string describe_lookalike(std::span<const std::byte> file) {
  const std::string_view start = as_text(file.first(std::min<std::size_t>(file.size(), 512)));
  for (const Lookalike& known : kKnown)
    if (start.starts_with(known.start)) return std::string(known.meaning);
  if (looks_like_safetensors(file))
    return "it looks like a safetensors file; give the directory it is in, with config.json and "
           "tokenizer.json";
  if (std::all_of(start.begin(), start.end(), [](char c) { return c == '\0'; }))
    return "it starts with zeros, as a file whose download was broken off does; fetch it again";
  std::string_view text = start;
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  if (starts_with_ignoring_case(text, "<!doctype html") || starts_with_ignoring_case(text, "<html"))
    return "it looks like an HTML page (an error or login page saved in place of the model); fetch the file "
           "again";
  if (text.starts_with("<?xml")) return "it looks like an XML error message; fetch the file again";
  if (text.starts_with('{') || text.starts_with('['))
    return "it looks like JSON text (an error message or a config.json); give the model file itself";
  return fmt::format("it starts with '{}'; give a GGUF file", printable(start.substr(0, 16)));
}

}  // namespace deepwell
