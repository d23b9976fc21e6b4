// SPDX-License-Identifier: Apache-2.0
#include "server/serve/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstdlib>

#include "server/serve/settings_file.h"

namespace deepwell {
namespace {
using Values = std::vector<std::string>;
using Kind = SettingSpec::Kind;

Result<std::int64_t> whole(const Values& values, std::int64_t min, std::int64_t max) {
  std::int64_t number = 0;
  const std::string& text = values.back();
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < min || number > max) {
    return Error{ErrorCode::kInvalid,
                 fmt::format("'{}' must be a whole number from {} to {}", text, min, max)};
  }
  return number;
}

template <class Field>
Status set_whole(Field& field, const Values& values, std::int64_t min, std::int64_t max) {
  DW_TRY(const std::int64_t number, whole(values, min, max));
  field = static_cast<Field>(number);
  return Done{};
}

Status set_switch(bool& field, const Values& values) {
  const std::string& text = values.back();
  const bool on = text == "true" || text == "1" || text == "yes" || text == "on";
  const bool off = text == "false" || text == "0" || text == "no" || text == "off" || text.empty();
  if (!on && !off) return Error{ErrorCode::kInvalid, fmt::format("'{}' must be true or false", text)};
  field = on;
  return Done{};
}

/// One of `names`, as `parse` reads them.
template <class Word, class Parse, class Names>
Status set_word(Word& field, const Values& values, Parse parse, const Names& names) {
  const auto word = parse(values.back());
  if (!word)
    return Error{ErrorCode::kInvalid,
                 fmt::format("'{}' must be one of {}", values.back(), fmt::join(names, ", "))};
  field = *word;
  return Done{};
}

/// "500M", "8G", "1.5T" or plain bytes; decimal units, as everywhere here.
Status set_bytes(std::int64_t& field, const Values& values) {
  const std::string& text = values.back();
  char* end = nullptr;
  double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  if (unit == "K" || unit == "k") number *= 1e3;
  if (unit == "M") number *= 1e6;
  if (unit == "G") number *= 1e9;
  if (unit == "T") number *= 1e12;
  const bool known = unit.empty() || unit == "K" || unit == "k" || unit == "M" || unit == "G" || unit == "T";
  if (end == text.c_str() || !known || !(number >= 1e6 && number <= 1e15)) {
    return Error{ErrorCode::kInvalid, fmt::format("'{}' must be a size from 1M to 1000T, such as 8G", text)};
  }
  field = static_cast<std::int64_t>(number);
  return Done{};
}

Status set_expert_cache(ServeSettings& s, const Values& values) {
  if (values.back() != "0") return set_bytes(s.engine.expert_cache_bytes, values);
  s.engine.expert_cache_bytes = 0;
  return Done{};
}

Status set_seconds(double& field, const Values& values, double max) {
  char* end = nullptr;
  const std::string& text = values.back();
  const double seconds = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(seconds >= 0 && seconds <= max)) {
    return Error{ErrorCode::kInvalid, fmt::format("'{}' must be seconds from 0 to {:.0f}", text, max)};
  }
  field = seconds;
  return Done{};
}

constexpr std::int64_t kInt = 1 << 20;

const SettingSpec kSettings[] = {
    {"models", Kind::kMany, "MODEL", "",
     [](ServeSettings& s, const Values& v) -> Status {
       s.models = v;
       return Done{};
     }},
    {"host", Kind::kOne, "ADDRESS", "Address to listen on (127.0.0.1: this machine only)",
     [](ServeSettings& s, const Values& v) -> Status {
       s.host = v.back();
       return Done{};
     }},
    {"port", Kind::kOne, "PORT", "Port to listen on (8321); 0 takes a free one",
     [](ServeSettings& s, const Values& v) { return set_whole(s.port, v, 0, 65535); }},
    {"admin-port", Kind::kOne, "PORT",
     "Another port for /metrics and /admin, which --port then lacks; 0 takes a free one",
     [](ServeSettings& s, const Values& v) { return set_whole(s.admin_port.emplace(), v, 0, 65535); }},
    {"admin-host", Kind::kOne, "ADDRESS", "Its address (127.0.0.1: this machine only)",
     [](ServeSettings& s, const Values& v) -> Status {
       s.admin_host = v.back();
       return Done{};
     }},
    {"parallel", Kind::kOne, "N", "Answers computed together at most (8)",
     [](ServeSettings& s, const Values& v) { return set_whole(s.engine.parallel, v, 1, 4096); }},
    {"context", Kind::kOne, "TOKENS",
     "Tokens a prompt and its answer may have together (the model's, at most 8192)",
     [](ServeSettings& s, const Values& v) { return set_whole(s.engine.context, v, 0, INT64_C(1) << 40); }},
    {"threads", Kind::kOne, "N", "Threads that compute (one for each fast core)",
     [](ServeSettings& s, const Values& v) { return set_whole(s.engine.threads, v, 0, 4096); }},
    {"threads-batch", Kind::kOne, "N", "Threads where prompts are read (as many)",
     [](ServeSettings& s, const Values& v) { return set_whole(s.engine.threads_batch, v, 0, 4096); }},
    {"pin", Kind::kOne, "HOW",
     "Keep each thread on a core of its own, and slices of the weights on each NUMA node that has some: on, "
     "off or auto, which does on machines with several nodes (auto)",
     [](ServeSettings& s, const Values& v) {
       return set_word(s.engine.pin, v, parse_pin_threads, kPinThreadsNames);
     }},
    {"queue", Kind::kOne, "N", "Requests that may wait; beyond it 429 (1024)",
     [](ServeSettings& s, const Values& v) { return set_whole(s.engine.queue, v, 0, kInt); }},
    {"cache-type", Kind::kOne, "TYPE", "How the KV cache is kept: f16, bf16, f32 or q8 (f16)",
     [](ServeSettings& s, const Values& v) {
       return set_word(s.engine.cache_type, v, parse_cache_type, kCacheTypeNames);
     }},
    {"draft", Kind::kOne, "HOW",
     "Who guesses tokens for the model to verify: auto, ngram (the text so far), mtp (the model's own "
     "layer), "
     "model (--draft-model), off (auto)",
     [](ServeSettings& s, const Values& v) {
       return set_word(s.engine.draft, v, parse_draft_source, kDraftSourceNames);
     }},
    {"draft-model", Kind::kOne, "MODEL", "A smaller model of the same vocabulary that guesses",
     [](ServeSettings& s, const Values& v) -> Status {
       s.draft_model = v.back();
       return Done{};
     }},
    {"draft-tokens", Kind::kOne, "N", "Tokens guessed and verified in one pass at most (8); 0: none",
     [](ServeSettings& s, const Values& v) { return set_whole(s.engine.draft_tokens, v, 0, 64); }},
    {"expert-cache", Kind::kOne, "SIZE",
     "Memory for experts that are read from disk when needed, such as 8G; 0: all stay in memory (what there "
     "is, where a model does not fit)",
     set_expert_cache},
    {"swap-dir", Kind::kOne, "FOLDER",
     "Where sequences wait that memory has no room for (the system's folder for temporary files)",
     [](ServeSettings& s, const Values& v) -> Status {
       s.engine.swap_dir = v.back();
       return Done{};
     }},
    {"prefix-dir", Kind::kOne, "FOLDER", "Where cached prefixes outlive the server (nowhere)",
     [](ServeSettings& s, const Values& v) -> Status {
       s.engine.prefix_dir = v.back();
       return Done{};
     }},
    {"prefix-disk", Kind::kOne, "SIZE", "How much they take there at most, such as 500M or 8G (8G)",
     [](ServeSettings& s, const Values& v) { return set_bytes(s.engine.prefix_disk_bytes, v); }},
    {"prefix-public", Kind::kSwitch, "", "API keys share cached prefixes; else each key finds only its own",
     [](ServeSettings& s, const Values& v) { return set_switch(s.prefix_public, v); }},
    {"no-prefix-cache", Kind::kSwitch, "", "Compute every prompt anew",
     [](ServeSettings& s, const Values& v) {
       bool off = false;
       const Status set = set_switch(off, v);
       s.engine.prefix_cache = !off;
       return set;
     }},
    {"alias", Kind::kMany, "NAME[=MODEL]", "Another name for the first model, or for the one named",
     [](ServeSettings& s, const Values& v) -> Status {
       s.aliases = v;
       return Done{};
     }},
    {"chat-template", Kind::kOne, "NAME|FILE",
     "Chat language of the models: deepseek-v3, deepseek-r1, ... (`run --help` lists all) or a Jinja "
     "template",
     [](ServeSettings& s, const Values& v) -> Status {
       s.chat_template = v.back();
       return Done{};
     }},
    {"api-key-file", Kind::kOne, "FILE",
     "Keys ('deepwell keys' writes them); without one of them no answer; changes are taken over",
     [](ServeSettings& s, const Values& v) -> Status {
       s.api_key_file = v.back();
       return Done{};
     }},
    {"tls-cert", Kind::kOne, "FILE",
     "Speak TLS with this certificate (PEM, the chain to its root after it); a renewed one is taken over",
     [](ServeSettings& s, const Values& v) -> Status {
       s.tls_certificate = v.back();
       return Done{};
     }},
    {"tls-key", Kind::kOne, "FILE", "Its key (PEM, not encrypted)",
     [](ServeSettings& s, const Values& v) -> Status {
       s.tls_key = v.back();
       return Done{};
     }},
    {"audit-log", Kind::kOne, "FILE",
     "Append who asked what, when and for how many tokens, one JSON object a line; SIGHUP opens it anew",
     [](ServeSettings& s, const Values& v) -> Status {
       s.audit_log = v.back();
       return Done{};
     }},
    {"audit-text", Kind::kSwitch, "", "In it also what was asked and answered",
     [](ServeSettings& s, const Values& v) { return set_switch(s.audit_text, v); }},
    {"data-dir", Kind::kOne, "FOLDER", "Where files, batches and the page's chats are kept (nowhere)",
     [](ServeSettings& s, const Values& v) -> Status {
       s.data_dir = v.back();
       return Done{};
     }},
    {"cors", Kind::kMany, "ORIGIN", "Web pages that may use this server, as https://host; '*' for all",
     [](ServeSettings& s, const Values& v) -> Status {
       s.cors_origins = v;
       return Done{};
     }},
    {"host-name", Kind::kMany, "NAME",
     "A name that clients may call this server by, where it listens on this machine only and has no keys",
     [](ServeSettings& s, const Values& v) -> Status {
       s.host_names = v;
       return Done{};
     }},
    {"insecure", Kind::kSwitch, "", "Listen beyond this machine although there is no API key file",
     [](ServeSettings& s, const Values& v) { return set_switch(s.insecure, v); }},
    {"log-json", Kind::kSwitch, "", "Log one JSON object a request",
     [](ServeSettings& s, const Values& v) { return set_switch(s.log_json, v); }},
    {"otlp-endpoint", Kind::kOne, "URL", "Send a trace of each answer there, as http://host:4318 (nowhere)",
     [](ServeSettings& s, const Values& v) -> Status {
       s.otlp_endpoint = v.back();
       return Done{};
     }},
    {"drain-seconds", Kind::kOne, "SECONDS", "How long answers under way may take after SIGTERM (30)",
     [](ServeSettings& s, const Values& v) { return set_seconds(s.drain_seconds, v, 86400); }},
    {"keep-alive", Kind::kOne, "SECONDS", "Unload a model that nobody asked for so long (never)",
     [](ServeSettings& s, const Values& v) { return set_seconds(s.idle_seconds, v, 1e8); }},
    {"model-memory", Kind::kOne, "SIZE",
     "What models may take together, such as 32G; beyond it the longest unused goes (what is free)",
     [](ServeSettings& s, const Values& v) { return set_bytes(s.model_memory_bytes, v); }},
};

std::string replaced(std::string text, char to, bool upper) {
  for (char& c : text) {
    if (c == '-') c = to;
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

/// "a,b" from an environment variable, where lists have no other form.
Values split(const std::string& text) {
  Values values;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    if (comma > start) values.push_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  return values;
}

}  // namespace

std::string SettingSpec::environment_name() const { return "DEEPWELL_" + replaced(name, '_', true); }
std::string SettingSpec::file_name() const { return replaced(name, '_', false); }

std::span<const SettingSpec> serve_settings() { return kSettings; }

Result<ServeSettings> resolve_serve_settings(const GivenSettings& flags, const Environment& environment,
                                             const std::string& config_path) {
  GivenSettings file;
  if (!config_path.empty()) {
    DW_TRY(file, read_settings_file(config_path));
    for (const auto& [key, values] : file) {
      bool known = false;
      for (const SettingSpec& spec : kSettings) known = known || spec.file_name() == key;
      if (!known) {
        return Error{ErrorCode::kInvalid,
                     fmt::format("{}: '{}' is not a setting of serve", config_path, key)};
      }
    }
  }
  ServeSettings settings;
  for (const SettingSpec& spec : kSettings) {
    std::string source;
    Values values;
    const auto from_environment = environment(spec.environment_name());
    if (const auto flag = flags.find(spec.name); flag != flags.end()) {
      source = std::string("--") + spec.name;
      values = flag->second;
    } else if (from_environment) {
      source = spec.environment_name();
      values = spec.kind == Kind::kMany ? split(*from_environment) : Values{*from_environment};
    } else if (const auto entry = file.find(spec.file_name()); entry != file.end()) {
      source = config_path + ": " + entry->first;
      values = entry->second;
      if (spec.kind != Kind::kMany && values.size() != 1) {
        return Error{ErrorCode::kInvalid, source + " takes one value, not a list"};
      }
    } else {
      continue;
    }
    if (values.empty() && spec.kind != Kind::kMany) continue;
    const Status applied = spec.apply(settings, values);
    if (!applied) return Error{ErrorCode::kInvalid, source + ": " + applied.error().message};
  }
  if (settings.tls_certificate.empty() != settings.tls_key.empty())
    return Error{ErrorCode::kInvalid, "TLS needs both --tls-cert and --tls-key"};
  if (settings.audit_text && settings.audit_log.empty())
    return Error{ErrorCode::kInvalid, "--audit-text says what goes into --audit-log, which is not given"};
  return settings;
}

}  // namespace deepwell
