// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "engine/formats/model_file.h"
#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// A GGUF file or a checkpoint's directory with its weights, vocabulary and chat template, all as a GGUF
/// says them: of a directory, tokenizer.json, tokenizer_config.json, chat_template.jinja and
/// generation_config.json are read, too. A directory without a vocabulary opens all the same.
Result<std::unique_ptr<ModelFile>> open_model(const std::string& path);

/// The tokenizer's part of a model's metadata. kUnsupported for vocabularies that are not byte-level BPE.
Result<Vocabulary> vocabulary_of(const Metadata& metadata);

}  // namespace deepwell
