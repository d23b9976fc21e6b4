// SPDX-License-Identifier: Apache-2.0
#include "server/request/format_fields.h"

#include <fmt/format.h>

namespace deepwell {
namespace {
using Kind = GrammarSource::Kind;
constexpr std::size_t kChoicesMax = 1000;

void set_format(JsonReader& reader, Kind kind, std::string text, const std::string& field, Request& request) {
  if (!reader.ok()) return;
  if (request.format)
    return reader.fail(
        invalid_field(field, fmt::format("'{}' and '{}' both say what the answer must look like; send one",
                                         request.format_field, field)));
  request.format = GrammarSource{kind, std::move(text)};
  request.format_field = field;
}

void set_json_object(JsonReader& reader, const std::string& field, Request& request) {
  set_format(reader, Kind::kJsonSchema, R"({"type":"object"})", field, request);
  request.chat.response_format.kind = ResponseFormat::Kind::kJsonObject;
}

void set_choices(JsonReader& reader, const Json& list, const std::string& field, Request& request) {
  std::string grammar = "start: ";
  const bool fits = list.is_array() && !list.empty() && list.size() <= kChoicesMax;
  for (std::size_t i = 0; fits && i < list.size(); ++i) {
    if (!list[i].is_string() || list[i].get<std::string>().empty())
      return reader.fail(invalid_field(field, fmt::format("'{}' must be a list of texts", field)));
    grammar += (i == 0 ? "" : " | ") + lark_literal(list[i].get<std::string>());
  }
  if (!fits)
    return reader.fail(
        invalid_field(field, fmt::format("'{}' must be a list of 1 to {} texts", field, kChoicesMax)));
  set_format(reader, Kind::kLark, std::move(grammar), field, request);
}

/// vLLM's names, each with the prefix it has where it stands.
void read_guides(JsonReader& reader, const std::string& prefix, Request& request) {
  const std::string json = prefix + "json", regex = prefix + "regex", choice = prefix + "choice",
                    grammar = prefix + "grammar";
  if (const Json* schema = reader.any(json.c_str()))
    set_schema(reader, *schema, reader.where() + json, request);
  if (auto text = reader.text(regex.c_str()))
    set_format(reader, Kind::kRegex, std::move(*text), reader.where() + regex, request);
  if (const Json* list = reader.any(choice.c_str()))
    set_choices(reader, *list, reader.where() + choice, request);
  if (auto text = reader.text(grammar.c_str()))
    set_format(reader, Kind::kLark, std::move(*text), reader.where() + grammar, request);
}
}  // namespace

void set_schema(JsonReader& reader, const Json& schema, const std::string& field, Request& request) {
  // vLLM takes a schema as text, too.
  std::string text = schema.is_string() ? schema.get<std::string>()
                                        : schema.dump(-1, ' ', false, Json::error_handler_t::replace);
  request.chat.response_format = {ResponseFormat::Kind::kJsonSchema, text};
  set_format(reader, Kind::kJsonSchema, std::move(text), field, request);
}

void read_format_object(JsonReader& reader, const Json& format, const std::string& where, bool flat,
                        Request& request) {
  JsonReader inner(format, where + ".");
  const std::string type = inner.text("type").value_or("");
  if (type == "json_object") {
    set_json_object(inner, where, request);
  } else if (type == "json_schema") {
    const Json* holder = flat ? &format : inner.object("json_schema");
    const std::string at = flat ? where : where + ".json_schema";
    if (inner.ok() && holder == nullptr) inner.fail(invalid_field(at, fmt::format("'{}' is missing", at)));
    if (inner.ok()) {
      JsonReader named(*holder, at + ".");
      for (const char* name : {"type", "name", "description", "strict"}) named.harmless(name);
      const Json* schema = named.any("schema");
      if (named.ok() && schema == nullptr) named.fail("schema", fmt::format("'{}.schema' is missing", at));
      if (named.ok()) set_schema(named, *schema, at + ".schema", request);
      named.finish();
      if (!named.ok()) inner.fail(named.error());
    }
    if (flat)
      for (const char* name : {"name", "description", "strict", "schema"}) inner.harmless(name);
  } else if (inner.ok() && type != "text") {
    ApiError error = invalid_field(
        where + ".type", fmt::format("'{}.type' is '{}'; it can be text, json_object or json_schema", where,
                                     type.substr(0, 100)));
    error.code = "unsupported_parameter";
    inner.fail(std::move(error));
  }
  inner.finish();
  if (!inner.ok()) reader.fail(inner.error());
}

void read_format_fields(JsonReader& reader, Request& request) {
  if (const Json* format = reader.object("response_format"))
    read_format_object(reader, *format, "response_format", /*flat=*/false, request);
  read_guides(reader, "guided_", request);
  if (const Json* outputs = reader.object("structured_outputs")) {
    JsonReader inner(*outputs, "structured_outputs.");
    read_guides(inner, "", request);
    if (inner.flag("json_object").value_or(false))
      set_json_object(inner, "structured_outputs.json_object", request);
    inner.finish();
    if (!inner.ok()) reader.fail(inner.error());
  }
  if (const Json* schema = reader.object("json_schema")) set_schema(reader, *schema, "json_schema", request);
  reader.unsupported("grammar", "grammars are written in Lark here; send one as 'guided_grammar'");
  reader.unsupported("guided_whitespace_pattern", "blanks between the parts of JSON are set");
}

}  // namespace deepwell
