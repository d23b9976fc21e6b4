// SPDX-License-Identifier: Apache-2.0
// deepwell man: man pages, written from the command tree itself.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/man_page.h"

namespace deepwell {
namespace {

int fail(const std::string& message) {
  std::cerr << "deepwell: " << message << '\n';
  return 1;
}

int write_all(const std::vector<ManPage>& pages, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(fmt::format("{}: {}; choose another --output", folder.string(), error.message()));
  for (const ManPage& page : pages) {
    const auto path = folder / page.file_name;
    std::ofstream out(path, std::ios::binary);
    out << page.text << std::flush;
    if (!out)
      return fail(fmt::format("{}: {}; choose another --output", path.string(), std::strerror(errno)));
  }
  return 0;
}

}  // namespace

Command command_commands_man() {
  return {[](CLI::App& app) -> std::function<int()> {
    struct Flags {
      std::string command, folder;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("man", "Print a man page, or write all of them");
    sub->add_option("COMMAND", flags->command, "The command to describe; without one, the program");
    sub->add_option("--output", flags->folder, "Write every page into this folder instead")
        ->type_name("FOLDER");
    sub->footer(
        "Examples:\n"
        "  deepwell man serve | man -l -\n"
        "  deepwell man --output ~/.local/share/man/man1");
    return [flags, &app] {
      const auto pages = man_pages(outline_of(app));
      if (!flags->folder.empty()) return write_all(pages, flags->folder);
      const std::string wanted = flags->command.empty() ? "deepwell.1" : "deepwell-" + flags->command + ".1";
      const auto page = std::ranges::find(pages, wanted, &ManPage::file_name);
      if (page == pages.end())
        return fail(fmt::format("no command '{}'; 'deepwell --help' lists them", flags->command));
      std::cout << page->text << std::flush;
      return std::cout ? 0 : 1;
    };
  }};
}

}  // namespace deepwell
