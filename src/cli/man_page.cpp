// SPDX-License-Identifier: Apache-2.0
#include "cli/man_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/version.h"

namespace deepwell {
namespace {

// roff reads '\' as an escape, '.' and ''' at a line's start as a request; "-" in flags must stay ASCII.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string header(const std::string& page) {
  return fmt::format(".TH \"{}\" \"1\" \"\" \"deepwell {}\" \"Deepwell\"\n", upper(page), version());
}

std::string synopsis_word(const ArgumentOutline& argument) {
  std::string word = roff(argument.names.front());
  if (argument.repeats) word += " ...";
  return argument.required ? word : "[" + word + "]";
}

std::string argument_text(const ArgumentOutline& argument) {
  std::string heading;
  for (const std::string& name : argument.names)
    heading += fmt::format("{}\\fB{}\\fR", heading.empty() ? "" : ", ", roff(name));
  if (!argument.positional && !argument.value.empty())
    heading += fmt::format(" \\fI{}\\fR", roff(argument.value));
  std::string about = argument.description;
  if (!about.empty() && about.find_last_of(".?!") != about.size() - 1) about += '.';
  std::string text = fmt::format(".TP\n{}\n{}", heading, roff(about));
  if (!argument.choices.empty()) text += roff(fmt::format(" One of: {}.", fmt::join(argument.choices, ", ")));
  if (!argument.default_value.empty()) text += roff(fmt::format(" Default: {}.", argument.default_value));
  if (!argument.environment.empty()) text += roff(fmt::format(" Environment: {}.", argument.environment));
  return text + "\n";
}

// The footer keeps its lines and its examples' columns.
std::string notes(const CommandOutline& command) {
  return command.footer.empty() ? "" : fmt::format(".SH NOTES\n.nf\n{}\n.fi\n", roff(command.footer));
}

std::string section(const CommandOutline& command, std::string_view title, bool positional) {
  std::string text;
  for (const ArgumentOutline& argument : command.arguments)
    if (argument.positional == positional) text += argument_text(argument);
  return text.empty() ? "" : fmt::format(".SH {}\n{}", title, text);
}

constexpr std::string_view kExitStatus = ".SH \"EXIT STATUS\"\n0 done, 1 failed, 2 wrong usage.\n";

std::string program_page(const CommandOutline& program) {
  std::string text = header(program.name);
  text += fmt::format(".SH NAME\n{0} \\- {1}\n.SH SYNOPSIS\n.B {0}\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR ...]\n",
                      roff(program.name), roff(program.description));
  text += ".SH COMMANDS\n";
  for (const CommandOutline& command : program.commands)
    text += fmt::format(".TP\n\\fB{}\\-{}\\fR(1)\n{}\n", program.name, roff(command.name),
                        roff(command.description));
  return text + section(program, "OPTIONS", false) + notes(program) + std::string(kExitStatus);
}

std::string command_page(const CommandOutline& program, const CommandOutline& command) {
  std::string text = header(program.name + "-" + command.name);
  text += fmt::format(".SH NAME\n{0}\\-{1} \\- {2}\n.SH SYNOPSIS\n.B {0} {1}\n[\\fIOPTIONS\\fR]",
                      roff(program.name), roff(command.name), roff(command.description));
  for (const ArgumentOutline& argument : command.arguments)
    if (argument.positional) text += fmt::format(" \\fI{}\\fR", synopsis_word(argument));
  text += "\n" + section(command, "ARGUMENTS", true) + section(command, "OPTIONS", false) + notes(command);
  return text + std::string(kExitStatus) + fmt::format(".SH \"SEE ALSO\"\n.BR {} (1)\n", roff(program.name));
}

}  // namespace

std::vector<ManPage> man_pages(const CommandOutline& program) {
  std::vector<ManPage> pages = {{program.name + ".1", program_page(program)}};
  for (const CommandOutline& command : program.commands)
    pages.push_back({fmt::format("{}-{}.1", program.name, command.name), command_page(program, command)});
  return pages;
}

}  // namespace deepwell
