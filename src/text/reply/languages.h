// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "text/json/json_escape.h"
#include "text/reply/reply_parser.h"

namespace deepwell {

// One file a language; ReplyParser::make knows which is which.
std::unique_ptr<ReplyParser> make_text_parser(ReplyOptions options, bool thinks);
std::unique_ptr<ReplyParser> make_token_parser(ReplyOptions options);
std::unique_ptr<ReplyParser> make_dsml_parser(ReplyOptions options);
std::unique_ptr<ReplyParser> make_hermes_parser(ReplyOptions options);
std::unique_ptr<ReplyParser> make_llama3_parser(ReplyOptions options);

/// A name of a tool longer than this is none.
inline constexpr std::size_t kMaxName = 256;

}  // namespace deepwell
