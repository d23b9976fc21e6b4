// SPDX-License-Identifier: Apache-2.0
#include "server/serve/model_source.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/memory.h"
#include "engine/run/describe.h"
#include "engine/run/fit_estimate.h"
#include "server/model/chat_language.h"
#include "server/model/open_model.h"
#include "server/serve/model_names.h"
#include "store/store.h"

namespace deepwell {
namespace {

Result<ModelSource::Outline> outline_of(const ServeSettings& settings, const std::string& path) {
  DW_TRY(const std::unique_ptr<ModelFile> file, open_model(path));
  const EngineOptions& engine = settings.engine;
  // Where a smaller model drafts, the layer for that is not loaded.
  const bool drafting = settings.draft_model.empty() && engine.draft_tokens > 0 &&
                        (engine.draft == DraftSource::kAuto || engine.draft == DraftSource::kMtp);
  DW_TRY(const FitNeeds needs, count_needs(*file, {engine.context, 1, engine.cache_type, drafting}));
  if (!needs.obstacle.empty()) return Error{ErrorCode::kUnsupported, path + ": " + needs.obstacle};
  ModelSource::Outline outline{needs.info, needs.total_bytes()};
  if (const std::int64_t cache = settings.engine.expert_cache_bytes; cache > 0)  // the others stay on disk
    outline.bytes -= std::max<std::int64_t>(0, weight_sizes_of(*file, drafting).experts - cache);
  outline.info.context = needs.context;
  outline.info.context_trained = needs.context_trained;
  return outline;
}

Result<ModelSource::Made> load(const ServeSettings& settings, const std::string& path, const std::string& id,
                               const Engine::Progress& progress) {
  ServedModelOptions options;
  options.id = id;
  options.engine = settings.engine;
  if (!settings.draft_model.empty()) {
    DW_TRY(options.draft_model, resolve_model(settings.draft_model));
  }
  DW_TRY(options.chat_template, chat_template_of(settings.chat_template));
  options.engine.log = [](const std::string& line) { std::fprintf(stderr, "deepwell: %s\n", line.c_str()); };
  if (!options.engine.prefix_dir.empty()) {  // each model its own budget
    std::string name = id;
    for (char& c : name) c = c == '/' || c == '\\' ? '_' : c;
    options.engine.prefix_dir += "/" + name;
  }
  const bool show = isatty(STDERR_FILENO) != 0;
  int shown = -1;
  auto model = load_served_model(path, options, [&](double fraction) {
    progress(fraction);
    const int percent = static_cast<int>(fraction * 100);
    if (!show || percent == shown) return;
    shown = percent;
    std::fprintf(stderr, "\rloading %s %3d %%", id.c_str(), percent);
  });
  if (show && shown >= 0) std::fprintf(stderr, "\r\033[K");
  if (!model) std::fprintf(stderr, "deepwell: %s\n", model.error().message.c_str());
  return model;
}

}  // namespace

ModelSource models_here(const ServeSettings& settings) {
  return {resolve_model, [settings](const std::string& path) { return outline_of(settings, path); },
          [settings](const std::string& path, const std::string& id, const Engine::Progress& progress) {
            return load(settings, path, id, progress);
          },
          available_memory_bytes, id_for};
}

}  // namespace deepwell
