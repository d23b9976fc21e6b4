// SPDX-License-Identifier: Apache-2.0
// The markup is what text/reply reads; its files name the sources.
#include "text/grammar/call_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace deepwell {
namespace {
using Json = nlohmann::ordered_json;

struct OfferedTool {
  std::string name;
  Json schema;           // of its arguments
  std::string prepared;  // the same, ready for %json
};

/// Every call needs an object: a schema that says nothing of its type gets that.
Result<OfferedTool> offered(const Tool& tool, const GrammarCompiler& compiler) {
  const Json definition = Json::parse(tool.definition, nullptr, false);
  OfferedTool out{tool.name, Json::object(), {}};
  bool strict = false;
  if (definition.is_object()) {
    if (const auto found = definition.find("parameters"); found != definition.end() && found->is_object())
      out.schema = *found;
    strict = definition.contains("strict") && definition["strict"] == true;
  }
  if (!out.schema.contains("type") && !out.schema.contains("$ref")) out.schema["type"] = "object";
  std::string text = out.schema.dump(-1, ' ', false, Json::error_handler_t::replace);
  const Status fits = compiler.check({GrammarSource::Kind::kJsonSchema, text});
  if (!fits) {
    if (strict)
      return Error{ErrorCode::kInvalid,
                   fmt::format("the parameters of the strict tool '{}' cannot be honoured: {}", tool.name,
                               fits.error().message)};
    out.schema = {{"type", "object"}};
    text = out.schema.dump();
  }
  DW_TRY(out.prepared, prepared_schema(text));
  return out;
}

std::string json_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// rule_0 | rule_1 | ...
std::string any_of(std::string_view rule, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += fmt::format("{}{}{}", i == 0 ? "" : " | ", rule, i);
  return out;
}

/// One call, or more of them with `between` in between.
std::string repeated(const std::string& between, bool parallel) {
  return parallel ? fmt::format("call ({} call)*", between) : std::string("call");
}

class Builder {
 public:
  Builder(const ReplyRules& rules, const Tokenizer& tokenizer, std::vector<OfferedTool> tools)
      : rules_(rules), tokenizer_(tokenizer), tools_(std::move(tools)) {}

  CallRules build() {
    switch (rules_.language) {
      case ReplyLanguage::kDeepSeekTokens:
        return tokens();
      case ReplyLanguage::kDeepSeekDsml:
        return dsml();
      case ReplyLanguage::kLlama3:
        return llama3();
      case ReplyLanguage::kPlain:
      case ReplyLanguage::kThinking:
      case ReplyLanguage::kHermes:
        break;
    }
    return hermes();
  }

 private:
  std::string mark(std::string_view text) const { return marker(tokenizer_, text); }

  // V3's fence or V3.1's bare arguments, as the model likes.
  CallRules tokens() {
    CallRules out = opening("<｜tool▁calls▁begin｜>");
    for (std::size_t i = 0; i < tools_.size(); ++i) {
      const std::string fenced = "function<｜tool▁sep｜>" + tools_[i].name + "\n```json\n";
      out.rules += fmt::format("call{}: {} json{} {} | {} json{}\njson{}: %json {}\n", i, mark(fenced), i,
                               lark_literal("\n```"), mark(tools_[i].name + "<｜tool▁sep｜>"), i, i,
                               tools_[i].prepared);
    }
    out.rules += fmt::format("call: {} ({}) {}\nblank: /\\n?/\n", mark("<｜tool▁call▁begin｜>"),
                             any_of("call", tools_.size()), mark("<｜tool▁call▁end｜>"));
    out.rest = repeated("blank", rules_.parallel) + " " + mark("<｜tool▁calls▁end｜>");
    return out;
  }

  CallRules hermes() {
    CallRules out = opening("<tool_call>");
    for (std::size_t i = 0; i < tools_.size(); ++i) {
      const std::string head = "{\"name\": " + json_string(tools_[i].name) + ", \"arguments\": ";
      out.rules += fmt::format("call{}: {} json{} \"}}\"\njson{}: %json {}\n", i, lark_literal(head), i, i,
                               tools_[i].prepared);
    }
    out.rules += "call: " + any_of("call", tools_.size()) + "\nblank: /\\n?/\n";
    out.rest = fmt::format(
        "blank {} blank {}",
        repeated(fmt::format("blank {} blank {} blank", mark("</tool_call>"), out.opener), rules_.parallel),
        mark("</tool_call>"));
    return out;
  }

  CallRules llama3() {
    CallRules out;
    out.opener = lark_literal("{");
    out.opener_regex = "\\{";
    for (std::size_t i = 0; i < tools_.size(); ++i) {
      const std::string head = "\"name\": " + json_string(tools_[i].name) + ", \"parameters\": ";
      out.rules += fmt::format("call{}: {} json{} \"}}\"\njson{}: %json {}\n", i, lark_literal(head), i, i,
                               tools_[i].prepared);
    }
    out.rules += "call: " + any_of("call", tools_.size()) + "\n";
    out.rest = "call";  // the next one would open again
    return out;
  }

  // V3.2's, V4's or V4.1's tags, as the model likes; the last has a blank in each.
  CallRules dsml() {
    CallRules out = opening("<｜DSML｜");
    out.opener_is_token = false;
    for (const std::string style : {"", " "}) {
      const std::string suffix = style.empty() ? "" : "s";
      for (std::size_t i = 0; i < tools_.size(); ++i) {
        out.rules += fmt::format("call{}{}: {} params{}{} {}\n", suffix, i,
                                 mark("<｜DSML｜" + style + "invoke name=\"" + tools_[i].name + "\">\n"),
                                 suffix, i, mark("</｜DSML｜" + style + "invoke>\n"));
        parameters(i, suffix, style, out.rules);
      }
      out.rules += fmt::format("calls{}: ({}){}\n", suffix, any_of("call" + suffix, tools_.size()),
                               rules_.parallel ? "+" : "");
      const std::string end = mark("</｜DSML｜" + style + "parameter>\n");
      const bool token = end.find("<[") != std::string::npos;
      // What is said of "<" keeps the end apart from a value's own tags, without looking far ahead.
      out.rules +=
          token ? fmt::format("value{}: (/[^<]+/ | /<+[^<\\/]/ | /<+\\/[^<]/)* {}\n", suffix, end)
                : fmt::format("value{}[lazy]: /[\\s\\S]*<\\/｜DSML｜{}parameter>\\n/\n", suffix, style);
    }
    const auto block = [&](const std::string& name, const std::string& calls) {
      return fmt::format("{} {} {}", lark_literal(name + ">\n"), calls, mark("</｜DSML｜" + name + ">"));
    };
    out.rest = fmt::format("({} | {} | {})", block("function_calls", "calls"), block("tool_calls", "calls"),
                           block(" calls", "callss"));
    return out;
  }

  // Parameters come one by one in the schema's order. A schema that says more than which there are is one
  // value.
  void parameters(std::size_t tool, const std::string& suffix, const std::string& style, std::string& out) {
    const Json& schema = tools_[tool].schema;
    static constexpr std::array kPlainKeys = {"type",   "properties", "required",    "additionalProperties",
                                              "$defs",  "title",      "definitions", "description",
                                              "$schema"};
    bool plain = schema.contains("properties") && schema["properties"].is_object();
    for (const auto& [key, value] : schema.items())
      plain = plain && std::find(kPlainKeys.begin(), kPlainKeys.end(), key) != kPlainKeys.end();
    if (!plain) {
      out += fmt::format("params{0}{1}: json{0}{1} {2}\njson{0}{1}: %json {3}\n", suffix, tool,
                         lark_literal("\n"), tools_[tool].prepared);
      return;
    }
    const Json required = schema.value("required", Json::array());
    std::string sequence;
    std::size_t index = 0;
    for (const auto& [name, value] : schema["properties"].items()) {
      const std::string rule = fmt::format("param{}{}_{}", suffix, tool, index++);
      const bool needed = std::find(required.begin(), required.end(), Json(name)) != required.end();
      sequence += " " + rule + (needed ? "" : "?");
      out += rule + ": " + parameter(name, value, schema, suffix, style, rule, out) + "\n";
    }
    out += fmt::format("params{}{}:{}\n", suffix, tool, sequence.empty() ? " \"\"" : sequence);
  }

  std::string parameter(const std::string& name, const Json& value, const Json& root,
                        const std::string& suffix, const std::string& style, const std::string& rule,
                        std::string& out) {
    const std::string head = "<｜DSML｜" + style + "parameter name=\"" + name + "\" string=\"";
    if (is_free_text(value)) return mark(head + "true\">") + " value" + suffix;
    Json alone = value;
    if (alone.is_object()) {  // references point from the root
      for (const char* key : {"$defs", "definitions"})
        if (root.contains(key)) alone[key] = root[key];
    }
    const Result<std::string> prepared =
        prepared_schema(alone.dump(-1, ' ', false, Json::error_handler_t::replace));
    out += fmt::format("{}_json: %json {}\n", rule, prepared ? *prepared : std::string("{}"));
    return fmt::format("{} {}_json {}", mark(head + "false\">"), rule,
                       mark("</｜DSML｜" + style + "parameter>\n"));
  }

  static bool is_free_text(const Json& schema) {
    if (!schema.is_object() || schema.value("type", Json()) != "string") return false;
    static constexpr std::array kRemarks = {"type", "description", "title", "default", "examples"};
    return std::all_of(schema.items().begin(), schema.items().end(), [](const auto& item) {
      return std::find(kRemarks.begin(), kRemarks.end(), item.key()) != kRemarks.end();
    });
  }

  CallRules opening(const std::string& text) const {
    CallRules out;
    out.opener = mark(text);
    out.opener_is_token = out.opener.starts_with("<[");
    for (const char c : text) {
      if (c == '/' || c == '|') out.opener_regex += '\\';
      out.opener_regex += c;
    }
    return out;
  }

  const ReplyRules& rules_;
  const Tokenizer& tokenizer_;
  std::vector<OfferedTool> tools_;
};

}  // namespace

Result<CallRules> make_call_rules(const ReplyRules& rules, const Tokenizer& tokenizer,
                                  const GrammarCompiler& compiler) {
  std::vector<OfferedTool> tools;
  for (const Tool& tool : rules.tools) {
    if (rules.choice.kind == ToolChoice::Kind::kNamed && tool.name != rules.choice.name) continue;
    DW_TRY(OfferedTool one, offered(tool, compiler));
    tools.push_back(std::move(one));
  }
  if (tools.empty()) return Error{ErrorCode::kInvalid, "a tool must be called, but none is offered"};
  return Builder(rules, tokenizer, std::move(tools)).build();
}

std::string marker(const Tokenizer& tokenizer, std::string_view text) {
  std::string out, plain;
  const auto flush = [&] {
    if (plain.empty()) return;
    out += (out.empty() ? "" : " ") + lark_literal(plain);
    plain.clear();
  };
  const std::vector<TokenType>& types = tokenizer.vocabulary().types;
  for (const Token token : tokenizer.encode(text, {.parse_special = true, .add_special = false})) {
    const auto index = static_cast<std::size_t>(token);
    if (index < types.size() && types[index] == TokenType::kControl) {
      flush();
      out += fmt::format("{}<[{}]>", out.empty() ? "" : " ", token);
    } else {
      plain += tokenizer.token_bytes(token, true);
    }
  }
  flush();
  return out;
}

}  // namespace deepwell
