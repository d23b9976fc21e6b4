// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/formats/model_file.h"

namespace deepwell {

/// Tells models apart, for what is kept of one beyond this process: a hash of all that is said of the model
/// and its tensors, and of samples of every tensor. The whole of it would take minutes to read.
std::string fingerprint_of(const ModelFile& file);

}  // namespace deepwell
