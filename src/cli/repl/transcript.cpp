// SPDX-License-Identifier: Apache-2.0
#include "cli/repl/transcript.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/repl/settings.h"

namespace deepwell {
namespace {

constexpr std::uintmax_t kFileBytesMax = 256 << 20;

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return fsync(file) == 0;
}

Result<Transcript> transcript_of(const nlohmann::json& json, const std::string& path) {
  const auto corrupt = [&](std::string_view what) {
    return Error{ErrorCode::kCorrupt, fmt::format("{}: {}; it is no chat saved with /save", path, what)};
  };
  if (!json.is_object() || !json.contains("messages") || !json["messages"].is_array())
    return corrupt("no list \"messages\"");
  Transcript transcript;
  for (const auto& message : json["messages"]) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string() ||
        !message.contains("content") || !message["content"].is_string())
      return corrupt("a message without role or content");
    const std::string role = message["role"];
    const bool known =
        role == "user" || role == "assistant" || (role == "system" && transcript.messages.empty());
    if (!known) return corrupt(fmt::format("a message of role \"{}\" where none may be", role));
    transcript.messages.push_back({role, message["content"]});
  }
  if (!json.contains("settings")) return transcript;
  if (!json["settings"].is_object()) return corrupt("\"settings\" is no object");
  for (const auto& [name, value] : json["settings"].items()) {
    if (!value.is_number()) return corrupt(fmt::format("setting \"{}\" is no number", name));
    const auto number = parse_chat_setting(name, show_number(value.get<double>()));
    if (!number) return corrupt(number.error().message);
    transcript.settings[name] = *number;
  }
  return transcript;
}

}  // namespace

Status save_transcript(const Transcript& transcript, const std::string& path) {
  nlohmann::ordered_json json;
  json["messages"] = nlohmann::ordered_json::array();
  for (const ChatMessage& message : transcript.messages)
    json["messages"].push_back({{"role", message.role}, {"content", message.content}});
  json["settings"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : transcript.settings) json["settings"][name] = value;
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const auto failed = [&] {
    return Error{ErrorCode::kIo, fmt::format("{}: cannot be written: {}", path, std::strerror(errno))};
  };
  const std::string temporary = path + ".part";
  const int file = open(temporary.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failed();
  const bool written = write_all(file, text);
  const bool closed = close(file) == 0;
  if (written && closed && std::rename(temporary.c_str(), path.c_str()) == 0) return Done{};
  Error error = failed();
  unlink(temporary.c_str());
  return error;
}

Result<Transcript> load_transcript(const std::string& path) {
  std::error_code problem;
  const auto size = std::filesystem::file_size(path, problem);
  if (problem) return Error{ErrorCode::kNotFound, fmt::format("{}: {}", path, problem.message())};
  if (size > kFileBytesMax) return Error{ErrorCode::kCorrupt, fmt::format("{}: larger than 256 MiB", path)};
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::kIo, fmt::format("{}: cannot be read: {}", path, std::strerror(errno))};
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (json.is_discarded()) return Error{ErrorCode::kCorrupt, fmt::format("{}: not valid JSON", path)};
  return transcript_of(json, path);
}

}  // namespace deepwell
