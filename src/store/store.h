// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// The models on this machine, in the layout and place of the Hugging Face cache, so that other tools find
/// what was fetched here and the other way round:
///
///   HUB/models--OWNER--REPO/blobs/HASH              file contents; HASH.incomplete while they arrive
///   HUB/models--OWNER--REPO/snapshots/REVISION/F    a link to a blob
///   HUB/models--OWNER--REPO/refs/main               the revision fetched last
///   HUB/.locks/models--OWNER--REPO/HASH.lock        held while a blob arrives
///
/// HUB is HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub or
/// ~/.cache/huggingface/hub, the first that is set. ModelScope repositories are
/// models--modelscope.cn--OWNER--REPO, the default model is models--deepwell--default.
struct StoredModel {
  std::string name;   ///< what resolve_model and pull take: "default", "hf.co/OWNER/REPO:Q4_K_M"
  std::string path;   ///< of the (first) file
  std::string quant;  ///< "Q4_K_M", or ""
  std::int64_t bytes = 0;
  int parts = 1;
  std::int64_t modified = 0;  ///< seconds since 1970
};

/// The file or directory that `name_or_path` stands for. Takes a file; a directory (one with a single model
/// in GGUF gives that file, else the directory itself); "default"; and, without touching the network, the
/// name of a model in the store in full or shortened as long as only one fits: "hf.co/OWNER/REPO:QUANT",
/// "OWNER/REPO", "REPO:QUANT". Errors: kNotFound (the text has the pull command, or near names), kInvalid
/// (several fit).
Result<std::string> resolve_model(const std::string& name_or_path);

/// Every whole model in the store, by name. Parts of a split model that are not all there are left out.
Result<std::vector<StoredModel>> list_models();

struct RemovedModel {
  std::string name;
  std::int64_t bytes_freed = 0;
};
/// Removes a model by the names resolve_model takes (no paths): its links, the contents no other link needs,
/// and what is left of broken downloads of the same repository.
Result<RemovedModel> remove_model(const std::string& name);

/// What a pull is doing. The same file may restart: then `done` goes back.
struct PullProgress {
  std::string
      step;  ///< "listing", "waiting", "downloading", "verifying", "unpacking", "retrying", "offline", "done"
  std::string file;                  ///< as the hub names it
  std::string note;                  ///< for a person, e.g. why it tries again
  std::int64_t done = 0, total = 0;  ///< bytes of the whole pull; total 0: not known
  std::int64_t resumed = 0;          ///< of done: bytes that were there before
};

struct PullOptions {
  /// False stops the pull; what arrived stays for the next one. Called about once a second or more often.
  std::function<bool(const PullProgress&)> progress;
  int attempts = 6;             ///< in a row without a new byte, then the pull fails
  double backoff_seconds = 1;   ///< before the first retry; doubles up to 30
  double silence_seconds = 60;  ///< a connection that sends nothing for so long is cut and tried again
  /// Free bytes of the disk a folder is on; empty: asks the system.
  std::function<std::int64_t(const std::string& folder)> free_bytes;
};

/// Fetches a model unless it is there, and returns it: one of its GGUFs, or where there is none, its
/// checkpoint (config.json, safetensors, tokenizer). `name` is "default", "hf.co/OWNER/REPO[:QUANT]" (also
/// huggingface.co/ and plain OWNER/REPO) or "modelscope.cn/OWNER/REPO[:QUANT]"; QUANT may also be a file
/// name. Honours HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, MODELSCOPE_ENDPOINT, and the proxy settings curl
/// knows. Errors: kInvalid, kNotFound (what there is, is in the text), kIo, kCorrupt (wrong hash),
/// kCancelled.
Result<StoredModel> pull_model(const std::string& name, const PullOptions& options);

}  // namespace deepwell
