// SPDX-License-Identifier: Apache-2.0
#include "server/app/chats.h"

namespace deepwell {

ChatStore* chats_of(const Call& call) {
  if (call.service.chats == nullptr) {
    ApiError error;
    error.status = 501;
    error.type = "server_error";
    error.code = "no_data_dir";
    error.message = "this server keeps no chats; its operator can give it a folder with --data-dir";
    call.reply_error(error);
  }
  return call.service.chats.get();
}

}  // namespace deepwell
