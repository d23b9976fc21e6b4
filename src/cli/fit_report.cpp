// SPDX-License-Identifier: Apache-2.0
// What `fit` found, as a table for people and as JSON for programs.
#include <fmt/format.h>

#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/human.h"
#include "cli/fit_report.h"

namespace deepwell {
namespace {

using Json = nlohmann::ordered_json;

std::string rate_text(double rate) {
  return rate >= 100 ? grouped(static_cast<std::int64_t>(rate)) : fmt::format("{:.1f}", rate);
}

std::string kind_name(FitVerdict::Kind kind) {
  switch (kind) {
    case FitVerdict::Kind::kFits:
      return "fits";
    case FitVerdict::Kind::kSmallerContext:
      return "smaller_context";
    case FitVerdict::Kind::kTooLarge:
      return "too_large";
    case FitVerdict::Kind::kCannotRun:
      return "cannot_run";
  }
  return "";
}

std::string smaller_text(const FitVerdict& verdict) {
  if (verdict.fits_without_drafting) return "; without the layer that drafts (--draft ngram) it would fit";
  if (verdict.parallel_most > 0) return fmt::format("; --parallel {} would fit", verdict.parallel_most);
  if (!verdict.smaller) return "; get a smaller model";
  const FitVerdict::Smaller& smaller = *verdict.smaller;
  return smaller.fits ? fmt::format("; a {} file of the model would fit (about {})", smaller.type,
                                    human_bytes(smaller.total_bytes))
                      : fmt::format("; even a {} file would take about {}: get a smaller model", smaller.type,
                                    human_bytes(smaller.total_bytes));
}

std::string verdict_text(const FitNeeds& needs, const FitVerdict& verdict) {
  switch (verdict.kind) {
    case FitVerdict::Kind::kFits:
      return verdict.context_most > needs.context
                 ? fmt::format("fits; there is memory for a context of {} tokens",
                               grouped(verdict.context_most))
                 : "fits";
    case FitVerdict::Kind::kSmallerContext:
      return fmt::format(
          "fits with a smaller context: --context {}{}; for {} tokens {} is missing{}", verdict.context_most,
          verdict.parallel_most > 0 ? fmt::format(" or --parallel {}", verdict.parallel_most) : "",
          grouped(needs.context), human_bytes(verdict.missing_bytes),
          verdict.fits_without_drafting ? "; --draft ngram, without the layer that drafts, would fit as asked"
          : verdict.smaller && verdict.smaller->fits
              ? fmt::format("; a {} file of the model would fit as asked", verdict.smaller->type)
              : "");
    case FitVerdict::Kind::kTooLarge:
      if (verdict.expert_cache_bytes > 0)
        return fmt::format(
            "does not fit whole: {} is missing; it runs, slower, with {} of its experts in memory and the "
            "others read from disk when needed{}",
            human_bytes(verdict.missing_bytes), human_bytes(verdict.expert_cache_bytes),
            smaller_text(verdict));
      return fmt::format("does not fit: {} is missing{}", human_bytes(verdict.missing_bytes),
                         smaller_text(verdict));
    case FitVerdict::Kind::kCannotRun:
      return fmt::format("does not run: {}", printable(needs.obstacle));
  }
  return "";
}

}  // namespace

std::string fit_as_table(const FitNeeds& needs, const FitMachine& machine) {
  std::string out;
  const auto line = [&](std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{:<16}{}\n", key, value);
  };
  const EngineInfo& info = needs.info;
  line("file", fmt::format("{}, {}", printable(std::filesystem::path(needs.path).filename().string()),
                           human_bytes(needs.file_bytes)));
  line("model",
       fmt::format("{} ({}), {} parameters, {}", info.name.empty() ? "unnamed" : printable(info.name, 200),
                   info.architecture.empty() ? "no architecture" : printable(info.architecture, 200),
                   human_count(info.parameters), info.weight_types));
  line("weights", fmt::format("{}: {} packed, {} token table, {} vectors", human_bytes(needs.weight_bytes()),
                              human_bytes(needs.packed_bytes), human_bytes(needs.table_bytes),
                              human_bytes(needs.vector_bytes)));
  if (needs.in_file_bytes > 0)
    line("on disk", fmt::format("{}: tables of memory (Engram), of which a token reads a few rows",
                                human_bytes(needs.in_file_bytes)));
  const FitVerdict verdict = judge(needs, machine.memory_bytes);
  if (needs.weights_only) {
    line("KV cache", "not known for this architecture");
    line("available", human_bytes(machine.memory_bytes));
    line("verdict", verdict_text(needs, verdict));
    return out;
  }
  line("KV cache",
       fmt::format("{} for {}{} tokens, {} each{}{}", human_bytes(needs.cache_bytes),
                   needs.parallel > 1 ? fmt::format("{} x ", needs.parallel) : "", grouped(needs.context),
                   human_bytes(needs.cache_bytes_per_token),
                   needs.cache_bytes_rolling > 0
                       ? fmt::format(" and {} a sequence", human_bytes(needs.cache_bytes_rolling))
                       : "",
                   needs.context > needs.context_trained
                       ? fmt::format("; the model was trained for {} only", grouped(needs.context_trained))
                       : ""));
  line("work memory", human_bytes(needs.work_bytes));
  if (needs.drafting_bytes > 0)
    line("drafting",
         fmt::format("{} of the above is for the layer that drafts (MTP); --draft ngram leaves it "
                     "out, here and in run and serve",
                     human_bytes(needs.drafting_bytes)));
  line("total", fmt::format("{} of {} available", human_bytes(needs.total_bytes()),
                            human_bytes(machine.memory_bytes)));
  line("machine", fmt::format("reads {:.1f} GB/s, {} int8 GOPS{}{}", machine.read_gb_per_second,
                              grouped(static_cast<std::int64_t>(machine.int8_gops)),
                              machine.threads > 0 ? fmt::format(", {} threads", machine.threads) : "",
                              machine.measured ? "; measured now" : ""));
  const FitSpeed speed = speed_limits(needs, machine);
  line("speed at most", "tokens/s; `deepwell bench` measures what is reached");
  line("  decode", fmt::format("{} at the start, {} when {} tokens are filled", rate_text(speed.decode_empty),
                               rate_text(speed.decode_full), grouped(needs.context)));
  if (needs.parallel > 1)
    line(fmt::format("  decode x {}", needs.parallel),
         fmt::format("{} at the start, {} when all are filled, in all", rate_text(speed.together_empty),
                     rate_text(speed.together_full)));
  line("  prefill", fmt::format("{} for short prompts", rate_text(speed.prefill)));
  line("verdict", verdict_text(needs, verdict));
  return out;
}

std::string fit_as_json(const FitNeeds& needs, const FitMachine& machine) {
  const FitVerdict verdict = judge(needs, machine.memory_bytes);
  Json json{{"path", needs.path},
            {"architecture", needs.info.architecture},
            {"name", needs.info.name},
            {"file_bytes", needs.file_bytes},
            {"weights",
             {{"bytes", needs.weight_bytes()},
              {"packed_bytes", needs.packed_bytes},
              {"token_table_bytes", needs.table_bytes},
              {"vector_bytes", needs.vector_bytes},
              {"in_file_bytes", needs.in_file_bytes}}}};
  if (!needs.weights_only) {
    json["cache"] = {{"bytes", needs.cache_bytes},
                     {"bytes_per_token", needs.cache_bytes_per_token},
                     {"bytes_per_sequence", needs.cache_bytes_rolling},
                     {"context", needs.context},
                     {"context_trained", needs.context_trained},
                     {"parallel", needs.parallel}};
    json["work_bytes"] = needs.work_bytes;
    json["drafting_bytes"] = needs.drafting_bytes;
    json["total_bytes"] = needs.total_bytes();
  }
  json["available_bytes"] = machine.memory_bytes;
  if (!needs.weights_only) {
    const FitSpeed speed = speed_limits(needs, machine);
    json["machine"] = {{"read_gb_per_second", machine.read_gb_per_second},
                       {"int8_gops", machine.int8_gops},
                       {"threads", machine.threads > 0 ? Json(machine.threads) : Json(nullptr)},
                       {"measured", machine.measured}};
    json["tokens_per_second_at_most"] = {{"decode_empty", speed.decode_empty},
                                         {"decode_full", speed.decode_full},
                                         {"together_empty", speed.together_empty},
                                         {"together_full", speed.together_full},
                                         {"prefill", speed.prefill}};
  }
  json["verdict"] = kind_name(verdict.kind);
  json["fits"] = verdict.kind == FitVerdict::Kind::kFits;
  json["why_not"] =
      verdict.kind == FitVerdict::Kind::kFits ? Json(nullptr) : Json(verdict_text(needs, verdict));
  json["context_most"] = needs.weights_only ? Json(nullptr) : Json(verdict.context_most);
  json["parallel_most"] = needs.weights_only ? Json(nullptr) : Json(verdict.parallel_most);
  json["missing_bytes"] = verdict.missing_bytes;
  json["smaller"] = verdict.smaller ? Json{{"type", verdict.smaller->type},
                                           {"total_bytes", verdict.smaller->total_bytes},
                                           {"fits", verdict.smaller->fits}}
                                    : Json(nullptr);
  // Texts of a file may be any bytes: what is no UTF-8 is replaced rather than thrown at.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace deepwell
