// SPDX-License-Identifier: Apache-2.0
// Any reply in any language, cut anywhere: the same events as when it comes in one piece. Deltas are never
// empty, calls are numbered in order and only the last may stay open, and what is held back is bounded.
// The first byte is the language, the second where the reply begins, the third how the rest is cut.
#include "text/reply/reply_parser.h"

#include <cstdint>

#include "base/check.h"

namespace {
using namespace deepwell;

void append(std::vector<ReplyEvent>& all, std::vector<ReplyEvent> more) {
  for (ReplyEvent& event : more) {
    const bool delta = event.kind != ReplyEvent::Kind::kToolStart && event.kind != ReplyEvent::Kind::kToolEnd;
    DW_CHECK(!delta || !event.text.empty());
    if (delta && !all.empty() && all.back().kind == event.kind && all.back().call == event.call) {
      all.back().text += event.text;
    } else {
      all.push_back(std::move(event));
    }
  }
}

std::vector<ReplyEvent> parse(ReplyLanguage language, const ReplyOptions& options, std::string_view text,
                              std::size_t step) {
  const auto parser = ReplyParser::make(language, options);
  std::vector<ReplyEvent> all;
  for (std::size_t at = 0; at < text.size(); at += step) {
    append(all, parser->feed(text.substr(at, step)));
    DW_CHECK(parser->held() <= (66 << 10));
  }
  append(all, parser->finish());
  DW_CHECK(parser->held() == 0);
  return all;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const auto language = static_cast<ReplyLanguage>(data[0] % 6);
  ReplyOptions options;
  options.start.in = static_cast<ReplyStart::In>(data[1] % 3);
  options.start.continues = (data[1] & 4) != 0;
  options.parse_tools = (data[1] & 8) == 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 3, size - 3);
  const auto whole = parse(language, options, text, text.size() + 1);
  DW_CHECK(parse(language, options, text, 1 + data[2] % 16) == whole);
  int next = 0, open = -1;
  for (const ReplyEvent& event : whole) {
    switch (event.kind) {
      case ReplyEvent::Kind::kToolStart:
        DW_CHECK(open < 0 && event.call == next++);
        open = event.call;
        break;
      case ReplyEvent::Kind::kToolArguments:
        DW_CHECK(event.call == open);
        break;
      case ReplyEvent::Kind::kToolEnd:
        DW_CHECK(event.call == open);
        open = -1;
        break;
      default:
        DW_CHECK(event.call == -1);
    }
  }
  return 0;
}
