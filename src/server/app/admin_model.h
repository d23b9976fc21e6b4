// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/app/answer.h"

namespace deepwell {

/// A model as its operator sees it.
inline nlohmann::json admin_model(const ModelState& model) {
  const nlohmann::json nothing = nullptr;
  return {{"id", model.id},
          {"aliases", model.aliases},
          {"path", model.path},
          {"state", name_of(model.kind)},
          {"progress", model.progress},
          {"bytes", model.bytes},
          {"context", model.info.context},
          {"uses", model.uses},
          {"waiting", model.waiting},
          {"expires_seconds", model.expires_seconds ? nlohmann::json(*model.expires_seconds) : nothing},
          {"error", model.error.empty() ? nothing : nlohmann::json(model.error)}};
}

}  // namespace deepwell
