// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <string_view>
#include <vector>

#include "base/cpu.h"
#include "base/version.h"
#include "cli/flag_variables.h"
#include "cli/suggest.h"

namespace deepwell {
namespace {

constexpr int kExitUsage = 2;

constexpr const char* kFooter =
    "MODEL is a file, a directory or a name in the store; 'default' is a small model that is fetched on "
    "demand.\n"
    "\n"
    "Examples:\n"
    "  deepwell pull default                       fetch the default model (98 MB)\n"
    "  deepwell run default                        chat with it in the terminal\n"
    "  deepwell run default 'Name three rivers.'   one answer, then exit\n"
    "  deepwell serve default                      OpenAI API and a chat page on http://127.0.0.1:8321\n"
    "  deepwell inspect model.gguf                 what a file holds\n"
    "  deepwell fit model.gguf                     will it run here, and how fast\n"
    "  deepwell doctor                             is this machine set up well\n"
    "\n"
    "Every flag is also a variable: --threads is DEEPWELL_THREADS; the flag wins.\n"
    "'deepwell COMMAND --help' explains a command. Exit codes: 0 done, 1 failed, 2 wrong usage.";

std::vector<std::string> subcommand_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  const auto guess = closest_word(word, known);
  return guess ? fmt::format("did you mean '{}'? ", *guess) : "";
}

const CLI::App& chosen_command(const CLI::App& root) {
  const auto parsed = root.get_subcommands();
  return parsed.empty() ? root : *parsed.front();
}

// "deepwell serve", or "deepwell" before a command is known.
std::string spoken_name(const CLI::App& root, const CLI::App& command) {
  return &root == &command ? root.get_name() : root.get_name() + " " + command.get_name();
}

int usage_error(const CLI::App& root, std::string_view what, std::string_view guess, std::ostream& err) {
  const CLI::App& command = chosen_command(root);
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text), "deepwell: {}; {}see '{} --help'\n", what, guess,
                 spoken_name(root, command));
  err << std::string_view(text.data(), text.size());
  return kExitUsage;
}

// What CLI11 says, as the start of one line: no newline, no full stop.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text;
}

int explain(const CLI::App& root, const CLI::ParseError& error, std::ostream& err) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> rest = root.remaining(true);
    const std::string word = rest.empty() ? "" : rest.front();
    const std::string flag = word.substr(0, word.find('='));
    if (word.starts_with('-'))
      return usage_error(root, fmt::format("unknown flag '{}'", flag),
                         did_you_mean(flag, flag_names(chosen_command(root))), err);
    return usage_error(root, fmt::format("unexpected argument '{}'", word), "quote text with spaces; ", err);
  }
  return usage_error(root, one_line(error.what()), "", err);
}

}  // namespace

CommandLine make_command_line(std::span<const Command> commands) {
  CommandLine line;
  line.root =
      std::make_unique<CLI::App>("Deepwell runs and serves language models on your own machine.", "deepwell");
  CLI::App& root = *line.root;
  root.set_version_flag("--version,-V", fmt::format("deepwell {}", version()), "Print the version and exit");
  root.set_help_flag("--help,-h", "Print this help and exit");
  root.footer(kFooter);
  root.require_subcommand(0, 1);                     // so that a command's name can be another one's argument
  root.option_defaults()->always_capture_default();  // --help shows every default
  for (const Command& command : commands) {
    const std::size_t before = subcommand_names(root).size();
    std::function<int()> run = command.add(root);
    const auto all = root.get_subcommands([](const CLI::App*) { return true; });
    for (std::size_t i = before; i < all.size(); ++i) line.run[all[i]] = run;
  }
  name_flag_variables(root);
  return line;
}

int run_command_line(CommandLine& line, int argc, const char* const* argv, std::ostream& out,
                     std::ostream& err) {
  CLI::App& root = *line.root;
  if (argc < 2) {
    err << root.help();
    return kExitUsage;
  }
  const std::string first = argv[1];
  if (const auto names = subcommand_names(root);
      !first.starts_with('-') && std::ranges::count(names, first) == 0)
    return usage_error(root, fmt::format("unknown command '{}'", first), did_you_mean(first, names), err);
  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    out << root.help("", CLI::AppFormatMode::Normal);
    return 0;
  } catch (const CLI::CallForAllHelp&) {
    out << root.help("", CLI::AppFormatMode::All);
    return 0;
  } catch (const CLI::CallForVersion& answer) {
    out << answer.what() << '\n';
    return 0;
  } catch (const CLI::ParseError& error) {
    return explain(root, error, err);
  }
  const auto found = line.run.find(&chosen_command(root));
  if (found == line.run.end()) return usage_error(root, "no command given", "", err);
  return found->second();
}

int run_cli(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  if (const auto& isa = isa_from_environment(); !isa.ok()) {
    err << "deepwell: " << isa.error().message << '\n';
    return kExitUsage;
  }
  CommandLine line = make_command_line(all_commands());
  return run_command_line(line, argc, argv, out, err);
}

}  // namespace deepwell
