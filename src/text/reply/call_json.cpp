// SPDX-License-Identifier: Apache-2.0
#include "text/reply/call_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "text/reply/languages.h"

namespace deepwell {

CallJson::State CallJson::push(char c) {
  if (at_ == At::kValue && (in_string_ || depth_ > 0 || scalar_)) return in_value(c);
  if ((at_ == At::kKey || at_ == At::kFirstKey) && in_string_) {
    if (c == '"' && !escaped_) {
      in_string_ = false;
      at_ = At::kColon;
      field_ = text_ == "name"                                 ? Field::kName
               : text_ == "arguments" || text_ == "parameters" ? Field::kArguments
                                                               : Field::kOther;
      const bool known = field_ != Field::kOther || text_ == "type" || text_ == "id";
      return known || !strict_ ? State::kMore : State::kBad;
    }
    escaped_ = c == '\\' && !escaped_;
    text_ += c;
    return text_.size() <= kMaxName ? State::kMore : State::kBad;
  }
  if (is_blank(c)) return State::kMore;
  switch (at_) {
    case At::kOpen:
      at_ = At::kFirstKey;
      return c == '{' ? State::kMore : State::kBad;
    case At::kFirstKey:
    case At::kKey:
      if (c == '}' && at_ == At::kFirstKey) return State::kBad;  // {} is no call
      text_.clear();
      in_string_ = c == '"';
      return in_string_ ? State::kMore : State::kBad;
    case At::kColon:
      at_ = At::kValue;
      return c == ':' ? State::kMore : State::kBad;
    case At::kValue:
      begin_value(c);
      return field_ == Field::kName && !in_string_ ? State::kBad : State::kMore;
    case At::kAfter:
      if (c == '}') return has_name_ ? State::kDone : State::kBad;
      at_ = At::kKey;
      return c == ',' ? State::kMore : State::kBad;
  }
  return State::kBad;
}

void CallJson::begin_value(char c) {
  text_.clear();
  escaped_ = false;
  in_string_ = c == '"';
  depth_ = c == '{' || c == '[' ? 1 : 0;
  scalar_ = !in_string_ && depth_ == 0;
  if (field_ == Field::kArguments) arguments_ += c;
}

CallJson::State CallJson::in_value(char c) {
  const bool keep = field_ == Field::kArguments;
  if (in_string_) {
    if (c == '"' && !escaped_) {
      in_string_ = false;
      if (keep) arguments_ += c;
      if (depth_ > 0) return State::kMore;
      at_ = At::kAfter;
      if (field_ != Field::kName) return State::kMore;
      const auto name = nlohmann::json::parse('"' + text_ + '"', nullptr, false);
      if (!name.is_string() || has_name_) return State::kBad;
      name_ = name.get<std::string>();
      has_name_ = !name_.empty();
      return has_name_ ? State::kMore : State::kBad;
    }
    escaped_ = c == '\\' && !escaped_;
    if (keep) arguments_ += c;
    if (field_ == Field::kName) text_ += c;
    return text_.size() <= kMaxName ? State::kMore : State::kBad;
  }
  if (scalar_ && (c == ',' || c == '}' || is_blank(c))) {
    scalar_ = false;
    at_ = At::kAfter;
    return push(c);
  }
  if (keep) arguments_ += c;
  if (c == '"') in_string_ = true;
  if (c == '{' || c == '[') ++depth_;
  if ((c == '}' || c == ']') && --depth_ == 0) at_ = At::kAfter;
  return State::kMore;
}

}  // namespace deepwell
