// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/repl/repl.h"

namespace deepwell {

/// A conversation with the settings it was had under.
struct Transcript {
  std::vector<ChatMessage> messages;  ///< a system message, if any, comes first
  ChatSettings settings;
};

/// JSON, mode 0600, replaced as a whole: a full disk leaves the old file. Errors: kIo.
Status save_transcript(const Transcript& transcript, const std::string& path);
/// Errors: kNotFound, kIo, kCorrupt (what is wrong with the file). Unknown settings are an error too.
Result<Transcript> load_transcript(const std::string& path);

}  // namespace deepwell
