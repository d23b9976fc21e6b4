// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "text/chat/conversation.h"
#include "text/reply/reply_parser.h"

namespace deepwell {

/// Adds a piece of a reply to the message that it becomes.
inline void append(Message& message, const ReplyEvent& event) {
  switch (event.kind) {
    case ReplyEvent::Kind::kReasoning:
      message.reasoning = message.reasoning.value_or("") + event.text;
      return;
    case ReplyEvent::Kind::kText:
      message.content += event.text;
      return;
    case ReplyEvent::Kind::kToolStart:
      message.tool_calls.push_back({event.id, event.text, {}});
      return;
    case ReplyEvent::Kind::kToolArguments:
      message.tool_calls.back().arguments += event.text;
      return;
    case ReplyEvent::Kind::kToolEnd:
      return;
  }
}

}  // namespace deepwell
