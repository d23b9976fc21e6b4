// SPDX-License-Identifier: Apache-2.0
#include "cli/completion_script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <vector>

namespace deepwell {
namespace {

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string out;
  for (const char c : text) {
    if (what.find(c) == std::string_view::npos) {
      out += c;
    } else if (by == "\\") {
      out += by;
      out += c;
    } else {
      out += by;
    }
  }
  return out;
}

// In single quotes, for any of the three shells.
std::string in_quotes(std::string_view text) { return "'" + replaced(text, "'", "'\\''") + "'"; }

// fish knows \' inside single quotes, and no '\''.
std::string in_fish_quotes(std::string_view text) { return "'" + replaced(text, "\\'", "\\") + "'"; }

std::vector<std::string> flag_words(const CommandOutline& command) {
  std::vector<std::string> words;
  for (const ArgumentOutline& argument : command.arguments)
    if (!argument.positional) words.insert(words.end(), argument.names.begin(), argument.names.end());
  return words;
}

bool names_a_model(const ArgumentOutline& argument) {
  return argument.positional && (argument.names.front() == "MODEL" || argument.names.front() == "model");
}

std::vector<std::string> positional_words(const CommandOutline& command) {
  std::vector<std::string> words;
  for (const ArgumentOutline& argument : command.arguments) {
    if (!argument.positional) continue;
    words.insert(words.end(), argument.choices.begin(), argument.choices.end());
    if (names_a_model(argument)) words.emplace_back("default");
  }
  return words;
}

// Where the script offers nothing, "-o default" lets bash offer files.
std::string bash_case(const CommandOutline& command) {
  std::string values, plain;
  for (const ArgumentOutline& argument : command.arguments) {
    if (argument.positional || argument.value.empty()) continue;
    if (argument.choices.empty()) {
      plain += fmt::format("{}{}", plain.empty() ? "" : " | ", fmt::join(argument.names, " | "));
    } else {
      values += fmt::format("        {}) words={} ;;\n", fmt::join(argument.names, " | "),
                            in_quotes(fmt::format("{}", fmt::join(argument.choices, " "))));
    }
  }
  if (!plain.empty()) values += fmt::format("        {}) words='' ;;\n", plain);
  std::string text = fmt::format("    {})\n      words={}\n", command.name,
                                 in_quotes(fmt::format("{}", fmt::join(positional_words(command), " "))));
  text += fmt::format("      if [[ $word == -* ]]; then words={}; fi\n",
                      in_quotes(fmt::format("{}", fmt::join(flag_words(command), " "))));
  if (!values.empty()) text += fmt::format("      case $previous in\n{}      esac\n", values);
  return text + "      ;;\n";
}

std::string bash_script(const CommandOutline& program) {
  std::string cases;
  std::vector<std::string> first = flag_words(program);
  for (const CommandOutline& command : program.commands) {
    cases += bash_case(command);
    first.push_back(command.name);
  }
  return fmt::format(
      "# bash completion for {0}; written by '{0} completions bash'\n"
      "_{0}() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} words=''\n"
      "  local command=''\n"
      "  if ((COMP_CWORD > 1)); then command=${{COMP_WORDS[1]}}; fi\n"
      "  case $command in\n"
      "    '') words={1} ;;\n"
      "{2}"
      "  esac\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
      "}}\n"
      "complete -o default -F _{0} {0}\n",
      program.name, in_quotes(fmt::format("{}", fmt::join(first, " "))), cases);
}

// One _arguments spec a name: '(-p --port)--port[description]:INT:_files'.
std::string zsh_specs(const CommandOutline& command, std::string_view indent) {
  std::string text;
  int position = 0;
  for (const ArgumentOutline& argument : command.arguments) {
    const std::string about = replaced(argument.description, "[]:\\", "\\");
    const std::string action = argument.choices.empty()
                                   ? (names_a_model(argument) ? "_deepwell_models" : "_files")
                                   : fmt::format("({})", fmt::join(argument.choices, " "));
    if (argument.positional) {
      const std::string place = argument.repeats ? "*" : std::to_string(++position);
      text += fmt::format(" \\\n{}{}", indent, in_quotes(fmt::format("{}:{}:{}", place, about, action)));
      continue;
    }
    const std::string value =
        argument.value.empty() ? "" : fmt::format(":{}:{}", replaced(argument.value, ":\\", "\\"), action);
    for (const std::string& name : argument.names)
      text += fmt::format(
          " \\\n{}{}", indent,
          in_quotes(fmt::format("({}){}[{}]{}", fmt::join(argument.names, " "), name, about, value)));
  }
  return text;
}

std::string zsh_script(const CommandOutline& program) {
  std::string commands, cases;
  for (const CommandOutline& command : program.commands) {
    commands += fmt::format("    {}\n", in_quotes(fmt::format("{}:{}", command.name,
                                                              replaced(command.description, ":\\", "\\"))));
    cases += fmt::format("        {}) _arguments{} ;;\n", command.name, zsh_specs(command, "          "));
  }
  return fmt::format(
      "#compdef {0}\n"
      "# zsh completion for {0}; written by '{0} completions zsh'\n"
      "_deepwell_models() {{ _alternative 'names:model:(default)' 'files:file:_files' }}\n"
      "_{0}() {{\n"
      "  local -a commands\n"
      "  local state line\n"
      "  commands=(\n{1}  )\n"
      "  _arguments -C{2} \\\n    '1:command:->command' \\\n    '*::argument:->argument'\n"
      "  case $state in\n"
      "    command) _describe -t commands '{0} command' commands ;;\n"
      "    argument)\n"
      "      case $words[1] in\n{3}      esac\n"
      "      ;;\n"
      "  esac\n"
      "}}\n"
      "if [ \"$funcstack[1]\" = _{0} ]; then _{0} \"$@\"; else compdef _{0} {0}; fi\n",
      program.name, commands, zsh_specs(program, "    "), cases);
}

std::string fish_argument(std::string_view program, std::string_view condition,
                          const ArgumentOutline& argument) {
  std::string line = fmt::format("complete -c {} -n {}", program, in_fish_quotes(condition));
  if (!argument.positional) {
    for (const std::string& name : argument.names)
      line += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2))
                                     : fmt::format(" -s {}", name.substr(1));
  }
  if (!argument.choices.empty())
    line += fmt::format(" -x -a {}", in_fish_quotes(fmt::format("{}", fmt::join(argument.choices, " "))));
  else if (names_a_model(argument))
    line += " -F -a default";
  else if (argument.positional)
    return "";  // fish offers files by itself
  else if (!argument.value.empty())
    line += " -r";
  return line + fmt::format(" -d {}\n", in_fish_quotes(argument.description));
}

std::string fish_script(const CommandOutline& program) {
  std::string text =
      fmt::format("# fish completion for {0}; written by '{0} completions fish'\n", program.name);
  for (const ArgumentOutline& argument : program.arguments)
    text += fish_argument(program.name, "__fish_use_subcommand", argument);
  for (const CommandOutline& command : program.commands) {
    text += fmt::format("complete -c {} -f -n __fish_use_subcommand -a {} -d {}\n", program.name,
                        command.name, in_fish_quotes(command.description));
    for (const ArgumentOutline& argument : command.arguments)
      text += fish_argument(program.name, "__fish_seen_subcommand_from " + command.name, argument);
  }
  return text;
}

struct Shell {
  std::string name;
  std::string (*script)(const CommandOutline&);
};
const std::array<Shell, 3> kShells = {{{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}}};

}  // namespace

std::span<const std::string> completion_shells() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Shell& shell : kShells) all.push_back(shell.name);
    return all;
  }();
  return names;
}

Result<std::string> completion_script(std::string_view shell, const CommandOutline& program) {
  for (const Shell& known : kShells)
    if (known.name == shell) return known.script(program);
  return Error{ErrorCode::kUnsupported,
               fmt::format("no completions for the shell '{}'; there are some for {}", shell,
                           fmt::join(completion_shells(), ", "))};
}

}  // namespace deepwell
