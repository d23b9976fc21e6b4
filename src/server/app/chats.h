// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/app/chat_store.h"
#include "server/app/endpoint.h"

namespace deepwell {

/// The chat store; nullptr when there is none, and the call is answered with that.
ChatStore* chats_of(const Call& call);

}  // namespace deepwell
