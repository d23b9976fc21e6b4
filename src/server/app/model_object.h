// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "server/model/model_pool.h"

namespace deepwell {

/// OpenAI's model object, with max_model_len as vLLM adds it and what else a person wants to know.
inline nlohmann::json model_object(const ModelState& model, const std::string& name) {
  const EngineInfo& info = model.info;
  return {{"id", name},
          {"object", "model"},
          {"created", model.created_unix_seconds},
          {"owned_by", "deepwell"},
          {"root", model.id},
          {"state", name_of(model.kind)},
          {"max_model_len", info.context},
          {"meta",
           {{"architecture", info.architecture},
            {"parameters", info.parameters},
            {"weight_types", info.weight_types},
            {"weight_bytes", info.weight_bytes},
            {"vocabulary", info.vocabulary},
            {"context_trained", info.context_trained},
            {"chat", model.chat},
            {"thinking", model.thinking}}}};
}

}  // namespace deepwell
