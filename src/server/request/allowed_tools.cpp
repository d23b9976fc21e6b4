// SPDX-License-Identifier: Apache-2.0
#include "server/request/allowed_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace deepwell {
namespace {

constexpr const char* kField = "tool_choice";

/// The name of an entry, or "".
std::string name_of(const Json& entry, bool flat) {
  if (!entry.is_object() || entry.value("type", Json()) != "function") return {};
  const Json holder = flat ? entry : entry.value("function", Json());
  if (!holder.is_object()) return {};
  const Json name = holder.value("name", Json());
  return name.is_string() ? name.get<std::string>() : std::string();
}

}  // namespace

bool read_allowed_tools(JsonReader& reader, const Json& choice, bool flat, Conversation& chat) {
  if (!choice.is_object() || choice.value("type", Json()) != "allowed_tools") return false;
  const Json allowed = flat ? choice : choice.value("allowed_tools", Json());
  const Json mode = allowed.is_object() ? allowed.value("mode", Json()) : Json();
  const Json list = allowed.is_object() ? allowed.value("tools", Json()) : Json();
  if ((mode != "auto" && mode != "required") || !list.is_array() || list.empty()) {
    reader.fail(kField,
                "'tool_choice': allowed tools need a 'mode', auto or required, and a list of 'tools'");
    return true;
  }
  std::set<std::string> names;
  for (const Json& entry : list) {
    const std::string name = name_of(entry, flat);
    if (std::ranges::find(chat.tools, name, &Tool::name) == chat.tools.end()) {
      reader.fail(kField, fmt::format("'tool_choice' allows '{}', which is no function among 'tools'",
                                      name.substr(0, 100)));
      return true;
    }
    names.insert(name);
  }
  std::erase_if(chat.tools, [&](const Tool& tool) { return !names.contains(tool.name); });
  chat.tool_choice = {mode == "required" ? ToolChoice::Kind::kRequired : ToolChoice::Kind::kAuto, ""};
  return true;
}

}  // namespace deepwell
