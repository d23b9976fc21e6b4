// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "text/reply/reply_parser.h"

namespace deepwell {

/// Events with neighbours of one kind joined: what does not depend on how deltas were cut.
inline void append(std::vector<ReplyEvent>& all, std::vector<ReplyEvent> more) {
  for (ReplyEvent& event : more) {
    const bool delta = event.kind != ReplyEvent::Kind::kToolStart && event.kind != ReplyEvent::Kind::kToolEnd;
    if (delta && !all.empty() && all.back().kind == event.kind && all.back().call == event.call) {
      all.back().text += event.text;
    } else {
      all.push_back(std::move(event));
    }
  }
}

/// Where a text may be cut: never inside a character.
inline std::vector<std::string> characters(const std::string& text) {
  std::vector<std::string> out;
  for (const char c : text) {
    if (out.empty() || (static_cast<unsigned char>(c) & 0xC0) != 0x80) out.emplace_back();
    out.back() += c;
  }
  return out;
}

inline std::vector<ReplyEvent> parse(ReplyLanguage language, const ReplyOptions& options,
                                     const std::vector<std::string>& pieces) {
  const auto parser = ReplyParser::make(language, options);
  std::vector<ReplyEvent> all;
  for (const std::string& piece : pieces) append(all, parser->feed(piece));
  append(all, parser->finish());
  return all;
}

/// The text cut at random places, the same for the same seed.
inline std::vector<std::string> random_pieces(const std::string& text, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> pieces(1);
  for (const std::string& character : characters(text)) {
    if (random() % 6 == 0) pieces.emplace_back();
    pieces.back() += character;
  }
  return pieces;
}

/// "R:thinking|T:text|C0:name|A:{...}|E": events as one line.
inline std::string to_line(const std::vector<ReplyEvent>& events) {
  std::string line;
  for (const ReplyEvent& event : events) {
    if (!line.empty()) line += '|';
    switch (event.kind) {
      case ReplyEvent::Kind::kReasoning:
        line += "R:" + event.text;
        break;
      case ReplyEvent::Kind::kText:
        line += "T:" + event.text;
        break;
      case ReplyEvent::Kind::kToolStart:
        line += 'C' + std::to_string(event.call) + ':' + event.text;
        break;
      case ReplyEvent::Kind::kToolArguments:
        line += "A:" + event.text;
        break;
      case ReplyEvent::Kind::kToolEnd:
        line += 'E';
    }
  }
  return line;
}

}  // namespace deepwell
