// SPDX-License-Identifier: Apache-2.0
// deepwell keys: the file of API keys that serve reads.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "cli/command.h"
#include "server/access/key_file.h"

namespace deepwell {
namespace {

struct Flags {
  std::string action, name, file, role = "user";
  KeyLimits limits;
};

int fail(const std::string& message, int code = 1) {
  std::fprintf(stderr, "deepwell: %s\n", message.c_str());
  return code;
}

int add(const Flags& flags) {
  const Result<std::string> secret =
      add_key(flags.file, flags.name, flags.role == "admin" ? Role::kAdmin : Role::kUser, flags.limits);
  if (!secret) return fail(secret.error().message);
  std::printf("%s\n", secret->c_str());
  std::fflush(stdout);
  std::fprintf(stderr, "This is the key of %s. It is shown once: %s keeps only its SHA-256.\n",
               flags.name.c_str(), flags.file.c_str());
  return 0;
}

std::string limit(std::int64_t number) { return number == 0 ? "-" : std::to_string(number); }

int list(const Flags& flags) {
  const Result<ApiKeys> keys = ApiKeys::load(flags.file);
  if (!keys) return fail(keys.error().message);
  std::printf("%-24s %-16s %-5s %12s %12s %8s\n", "NAME", "ID", "ROLE", "REQUESTS/MIN", "TOKENS/MIN",
              "PARALLEL");
  for (const ApiKey& key : keys->all()) {
    std::printf("%-24s %-16s %-5s %12s %12s %8s\n", key.name.empty() ? "-" : key.name.c_str(),
                key.id().c_str(), role_name(key.role), limit(key.limits.requests_per_minute).c_str(),
                limit(key.limits.tokens_per_minute).c_str(), limit(key.limits.parallel).c_str());
  }
  return 0;
}

int run(const Flags& flags) {
  if (flags.file.empty()) return fail("say which file with --api-key-file (or DEEPWELL_API_KEY_FILE)", 2);
  if (flags.action == "list") return list(flags);
  if (flags.name.empty())
    return fail(fmt::format("'deepwell keys {}' wants the key's NAME", flags.action), 2);
  if (flags.action == "add") return add(flags);
  const Status removed = remove_key(flags.file, flags.name);
  return removed ? 0 : fail(removed.error().message);
}

}  // namespace

Command command_commands_keys() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto flags = std::make_shared<Flags>();
    CLI::App* sub = app.add_subcommand("keys", "The API keys of a server");
    sub->add_option("ACTION", flags->action, "add, list or remove")
        ->required()
        ->check(CLI::IsMember({"add", "list", "remove"}));
    sub->add_option("NAME", flags->name, "Whose key it is, as logs and limits know it");
    sub->add_option("--api-key-file", flags->file, "The file, as serve's flag of that name")
        ->type_name("FILE");
    sub->add_option("--role", flags->role, "user, or admin: also /metrics and /admin")
        ->check(CLI::IsMember({"user", "admin"}));
    const CLI::Range any(std::int64_t{0}, std::int64_t{1'000'000'000'000});
    sub->add_option("--requests-per-minute", flags->limits.requests_per_minute,
                    "Requests that it may send; 0: any")
        ->check(any);
    sub->add_option("--tokens-per-minute", flags->limits.tokens_per_minute,
                    "Tokens of prompts and answers; 0: any")
        ->check(any);
    sub->add_option("--parallel-requests", flags->limits.parallel, "Requests open at once; 0: any")
        ->check(any);
    sub->footer(
        "A running server takes changes over by itself.\n"
        "Examples:\n"
        "  deepwell keys add ann --api-key-file keys.txt --tokens-per-minute 100000\n"
        "  deepwell keys add ops --api-key-file keys.txt --role admin\n"
        "  deepwell keys list --api-key-file keys.txt\n"
        "  deepwell keys remove ann --api-key-file keys.txt");
    return [flags] { return run(*flags); };
  }};
}

}  // namespace deepwell
