// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "server/app/endpoint.h"

namespace deepwell {

/// Answers with a file of the page, in the smallest form that the client takes; 404 where there is none.
void reply_page_file(const Call& call, std::string_view path);

}  // namespace deepwell
