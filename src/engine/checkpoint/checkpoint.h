// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// Opens the directory of a Hugging Face checkpoint: config.json and safetensors files, as released or as
/// transformers 5 saves them. It is presented in the terms of GGUF; tensors are renamed, stacked and
/// rearranged as they are read, and nothing is copied until then. `extra`: metadata to add (the vocabulary).
/// Errors name the file, what is wrong, and what to do.
Result<std::unique_ptr<ModelFile>> open_checkpoint(const std::string& folder, Metadata extra = {});

/// The directory that a path stands for, when it is a checkpoint: itself, or that of a .safetensors file or
/// its index; "" when it is no checkpoint.
std::string checkpoint_folder(const std::string& path);

/// A GGUF file or a checkpoint's directory.
Result<std::unique_ptr<ModelFile>> open_weights(const std::string& path);

}  // namespace deepwell
