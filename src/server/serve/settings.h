// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/run/engine.h"

namespace deepwell {

/// How a server is to run.
struct ServeSettings {
  std::vector<std::string> models;
  std::string host = "127.0.0.1";
  std::uint16_t port = 8321;
  std::string admin_host = "127.0.0.1";
  std::optional<std::uint16_t> admin_port;  ///< none: /metrics and /admin are on `port`
  EngineOptions engine;
  std::string draft_model;           ///< that drafts for every model; "": none
  std::vector<std::string> aliases;  ///< "NAME" for the first model, or "NAME=MODEL"
  std::string chat_template;         ///< for every model: a language's name or a file; "": each its own
  std::string api_key_file;
  std::string tls_certificate, tls_key;  ///< "": plain HTTP
  std::string audit_log;                 ///< "": none
  bool audit_text = false;
  std::string data_dir;  ///< "": files and batches are refused
  std::vector<std::string> cors_origins;
  std::vector<std::string> host_names;
  bool prefix_public = false;  ///< API keys share cached prefixes
  bool insecure = false;       ///< may listen beyond this machine without keys
  bool log_json = false;
  double drain_seconds = 30;
  std::string otlp_endpoint;            ///< a collector of traces; "": none
  double idle_seconds = -1;             ///< without a request, then a model is unloaded; -1: never
  std::int64_t model_memory_bytes = 0;  ///< that models may take together; 0: what is free
};

/// One setting under its three names: --flag, DEEPWELL_FLAG, and flag in the file ('-' becomes '_').
struct SettingSpec {
  enum class Kind { kSwitch, kOne, kMany };
  const char* name;  ///< "drain-seconds"
  Kind kind;
  const char* value_name;  ///< "SECONDS"
  const char* help;
  Status (*apply)(ServeSettings& settings, const std::vector<std::string>& values);

  std::string environment_name() const;  ///< "DEEPWELL_DRAIN_SECONDS"
  std::string file_name() const;         ///< "drain_seconds"
};
std::span<const SettingSpec> serve_settings();

using GivenSettings = std::map<std::string, std::vector<std::string>>;  ///< by SettingSpec::name
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// Flag > environment > file > default, each setting by itself. `config_path` "": no file.
/// Errors name the source ("--port", "DEEPWELL_PORT", "server.toml: port") and what it may be.
Result<ServeSettings> resolve_serve_settings(const GivenSettings& flags, const Environment& environment,
                                             const std::string& config_path);

}  // namespace deepwell
