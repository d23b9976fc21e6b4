// SPDX-License-Identifier: Apache-2.0
#include "net/http/multipart.h"

#include "net/http/message.h"

namespace deepwell::http {
namespace {
constexpr std::size_t kPartsMax = 32, kBoundaryMax = 200;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The value of `name` among "a; name=value; other=\"quoted\"".
std::string parameter(std::string_view header, std::string_view name) {
  for (std::size_t at = header.find(';'); at < header.size();) {
    std::string_view rest = trimmed(header.substr(at + 1));
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return {};
    const std::string_view key = trimmed(rest.substr(0, equals));
    std::string value;
    std::size_t end = equals + 1;
    if (end < rest.size() && rest[end] == '"') {
      for (++end; end < rest.size() && rest[end] != '"'; ++end) {
        if (rest[end] == '\\' && end + 1 < rest.size()) ++end;
        value += rest[end];
      }
    } else {
      for (; end < rest.size() && rest[end] != ';'; ++end) value += rest[end];
    }
    if (equal_ignoring_case(key, name)) return value;
    const std::size_t next = rest.find(';', std::min(end, rest.size()));
    if (next == std::string_view::npos) return {};
    at = static_cast<std::size_t>(rest.data() - header.data()) + next;
  }
  return {};
}
}  // namespace

std::optional<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body) {
  if (!equal_ignoring_case(trimmed(content_type.substr(0, content_type.find(';'))), "multipart/form-data"))
    return std::nullopt;
  const std::string boundary = parameter(content_type, "boundary");
  if (boundary.empty() || boundary.size() > kBoundaryMax) return std::nullopt;
  const std::string mark = "--" + boundary, next = "\r\n" + mark;
  if (!body.starts_with(mark)) return std::nullopt;
  body.remove_prefix(mark.size());
  std::vector<FormPart> parts;
  while (!body.starts_with("--")) {
    if (!body.starts_with("\r\n") || parts.size() == kPartsMax) return std::nullopt;
    const std::size_t head_end = body.find("\r\n\r\n");
    if (head_end == std::string_view::npos) return std::nullopt;
    std::string_view head = body.substr(2, head_end < 2 ? 0 : head_end - 2);
    body.remove_prefix(head_end + 4);
    const std::size_t end = body.find(next);
    if (end == std::string_view::npos) return std::nullopt;
    FormPart part;
    while (!head.empty()) {
      const std::size_t line_end = std::min(head.find("\r\n"), head.size());
      const std::string_view line = head.substr(0, line_end);
      head.remove_prefix(std::min(line_end + 2, head.size()));
      const std::size_t colon = std::min(line.find(':'), line.size());
      if (!equal_ignoring_case(line.substr(0, colon), "Content-Disposition")) continue;
      part.name = parameter(line, "name");
      part.filename = parameter(line, "filename");
    }
    part.body = body.substr(0, end);
    body.remove_prefix(end + next.size());
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace deepwell::http
