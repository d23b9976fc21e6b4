// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "server/app/answer.h"
#include "server/app/background.h"
#include "server/app/batches.h"
#include "server/app/chat_store.h"
#include "server/app/file_store.h"

namespace deepwell {

/// What the server keeps on disk; nullptr when it keeps nothing, and the call is answered with that.
FileStore* files_of(const Call& call);
Batches* batches_of(const Call& call);
Background* background_of(const Call& call);
ChatStore* chats_of(const Call& call);
void reply_no_response(const Call& call, const std::string& id);
void reply_stored(const Call& call, const Result<nlohmann::json>& object);
void reply_list(const Call& call, const std::vector<nlohmann::json>& objects);

}  // namespace deepwell
