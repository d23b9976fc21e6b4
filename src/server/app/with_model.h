// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "server/app/endpoint.h"

namespace deepwell {

inline constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";

/// Which model a call wants.
struct ModelWish {
  std::string name;                ///< "": the server's first
  std::string_view stream_type{};  ///< of the answer's stream, or "" for a JSON body
  std::optional<double>
      idle_seconds{};  ///< how long the model stays afterwards; nothing: as the server has it
};

/// Goes on with the model, at once or when it has been loaded. A client that waits sees so: by comments of
/// its event stream, or by empty lines before its JSON. Answers the call when there is no such model.
void with_model(const Call& call, ModelWish wish, std::function<void(ModelUse model)> then);

}  // namespace deepwell
