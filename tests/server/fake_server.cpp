// SPDX-License-Identifier: Apache-2.0
// fake_server [PORT [MS_PER_TOKEN [CONTEXT]]]: the real server over engines that always say the same: one
// plain, one that thinks first. Prints its port. A line N on stdin: answers pause at their Nth token, until
// another number; -1: no more. Ends with stdin.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "server/fakes.h"

int main(int argc, char** argv) {
  using namespace deepwell;
  fakes::Script script;
  script.reply = fakes::tokens_of(
      "Hello world! 你好 🐳\n\nA list:\n- **bold** and *slanted*\n- `code` with <b>no tags</b>\n\n"
      "```cpp\nint main() {\n  return 0;  // the answer\n}\n```\n\n# Done\n1. one\n2. two\n");
  script.per_token = std::chrono::milliseconds(argc > 2 ? std::atoi(argv[2]) : 1);
  if (argc > 3) script.context = std::atoi(argv[3]);
  fakes::Script thoughtful = script;
  thoughtful.reply = fakes::tokens_of(
      "<think>\nThe user asks for the roots. I complete the square.\n</think>\n\nThe roots of $ax^2 + bx + "
      "c$ are\n\n"
      "$$x = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}$$\n\nwhere $a \\neq 0$.\n\n| sign of $b^2 - 4ac$ | real "
      "roots "
      "|\n|---|---|\n| positive | 2 |\n| zero | 1 |\n");
  Service service;
  auto plain = fakes::fake_model(std::move(script));
  auto thinking = fakes::fake_model(std::move(thoughtful), "thinking-model", "<think>");
  std::vector<fakes::FakeEngine*> engines;
  for (const auto& model : {plain.get(), thinking.get()})
    engines.push_back(static_cast<fakes::FakeEngine*>(model->engine.get()));
  service.models.add_loaded(std::move(plain), {"gpt-4o-mini"});
  service.models.add_loaded(std::move(thinking));
  service.set_phase(Phase::kReady);
  char folder[] = "/tmp/deepwell-fake-XXXXXX";
  if (mkdtemp(folder) == nullptr || !service.keep_in(folder)) return 1;
  AppOptions options;
  options.http.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  options.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  auto app = App::start(std::move(options), service);
  if (!app) {
    std::fprintf(stderr, "%s\n", app.error().message.c_str());
    return 1;
  }
  std::printf("%d\n", static_cast<int>((*app)->port()));
  std::fflush(stdout);
  for (int tokens = -1; std::cin >> tokens;)
    for (fakes::FakeEngine* engine : engines) engine->pause_at(tokens);
  (*app)->drain(std::chrono::seconds(1));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}
