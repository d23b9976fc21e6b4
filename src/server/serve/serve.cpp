// SPDX-License-Identifier: Apache-2.0
#include "server/serve/serve.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/app/app.h"
#include "server/app/kept_files.h"
#include "server/app/span_exporter.h"
#include "server/serve/model_names.h"
#include "server/serve/model_source.h"
#include "store/file_lock.h"
#include "store/store.h"

namespace deepwell {
namespace {

int fail(const std::string& message) {
  std::fprintf(stderr, "deepwell: %s\n", message.c_str());
  return 1;
}

/// Each connection is a descriptor: take as many as the system lets us.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// A folder that one server at a time keeps its data in.
Result<FileLock> own_folder(const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (!failed) {
    Result<FileLock> lock = FileLock::take(folder + "/lock", [] { return false; });
    if (lock || lock.error().code == ErrorCode::kCancelled) {
      if (lock) return lock;
      return Error{
          ErrorCode::kIo,
          fmt::format("another server keeps its data in {}; give this one a --data-dir of its own", folder)};
    }
  }
  return Error{ErrorCode::kIo, fmt::format("cannot keep data in {}; {}", folder, advice_for(failed))};
}

/// Makes all models known, and loads the first: a server that cannot answer at all says so at once.
Status open_models(const ServeSettings& settings, ModelPool& models) {
  std::vector<std::string> ids;
  for (const std::string& name : settings.models) {
    DW_TRY(const std::string path, resolve_model(name));
    ids.push_back(id_for(name, path));
    DW_RETURN_IF_ERROR(models.add(ids.back(), path));
  }
  for (const std::string& text : settings.aliases) {
    DW_TRY(const Alias alias, parse_alias(text, settings.models, ids));
    DW_RETURN_IF_ERROR(models.alias(alias.name, alias.id));
  }
  std::promise<Status> loaded;
  models.use("", {[&](const Result<ModelUse>& first) {
               loaded.set_value(first ? Status(Done{}) : Status(first.error()));
             }});
  return loaded.get_future().get();
}

void announce(const ServeSettings& settings, const Service& service, std::uint16_t port,
              std::uint16_t admin_port) {
  std::string host = settings.host;
  if (host == "0.0.0.0" || host == "::" || host.empty()) host = "127.0.0.1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  std::printf("Deepwell answers at http%s://%s:%d with %s (Ctrl-C stops it)\n",
              settings.tls_certificate.empty() ? "" : "s", host.c_str(), static_cast<int>(port),
              fmt::format("{}", fmt::join(service.models.names(), ", ")).c_str());
  if (admin_port != 0) std::printf("Metrics and administration: port %d\n", static_cast<int>(admin_port));
  std::fflush(stdout);
}

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

int serve(const ServeSettings& settings) {
  if (settings.models.empty()) return fail("name a model to serve, for example: deepwell serve default");
  for (const std::string& host : {settings.host, settings.admin_port ? settings.admin_host : settings.host}) {
    if (is_loopback(host) || !settings.api_key_file.empty() || settings.insecure) continue;
    return fail(
        fmt::format("listening on {} would let everybody in reach use this server; give --api-key-file, or "
                    "--insecure if that is what you want",
                    host));
  }
  const auto tell = [](const std::string& line) { std::fprintf(stderr, "deepwell: %s\n", line.c_str()); };
  AppOptions options;
  options.http.host = settings.host;
  options.http.port = settings.port;
  options.http.cors_origins = settings.cors_origins;
  options.log_json = settings.log_json;
  if (!settings.api_key_file.empty()) {
    Result<ApiKeys> keys = ApiKeys::load(settings.api_key_file);
    if (!keys) return fail(keys.error().message);
    options.keys = std::move(*keys);
    options.keys_path = settings.api_key_file;
  }
  if (!options.keys && is_loopback(settings.host)) options.host_names = settings.host_names;
  options.http.tls_certificate = settings.tls_certificate;
  options.http.tls_key = settings.tls_key;
  options.http.report = tell;
  if (settings.admin_port) {
    options.admin.emplace().http = options.http;
    options.admin->http.host = settings.admin_host;
    options.admin->http.port = *settings.admin_port;
    if (!options.keys && is_loopback(settings.admin_host)) options.admin->host_names = settings.host_names;
  }
  auto logger = spdlog::stderr_color_mt("deepwell-requests");
  logger->set_pattern(settings.log_json ? "%v" : "%H:%M:%S %v");
  options.log = [logger](const std::string& line) { logger->info("{}", line); };

  // Before any thread is made, so that all of them leave the signals to this one.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // A service is told to open its logs anew by SIGHUP; a closed terminal means the end.
  if (!settings.audit_log.empty() || isatty(STDIN_FILENO) == 0) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its writer
  const int signal_events = signalfd(-1, &signals, SFD_CLOEXEC);
  const int thread_events = eventfd(0, EFD_CLOEXEC);
  if (signal_events < 0 || thread_events < 0) return fail("cannot wait for signals: out of file descriptors");
  raise_descriptor_limit();

  Service service(models_here(settings), {settings.model_memory_bytes, settings.idle_seconds});
  std::optional<FileLock> data_folder;
  if (!settings.data_dir.empty()) {
    Result<FileLock> own = own_folder(settings.data_dir);
    if (!own) return fail(own.error().message);
    data_folder = std::move(*own);
    if (const Status kept = service.keep_in(settings.data_dir, tell); !kept)
      return fail(kept.error().message);
  }
  if (!settings.otlp_endpoint.empty()) {
    Result<std::unique_ptr<SpanExporter>> spans = SpanExporter::open(settings.otlp_endpoint);
    if (!spans) return fail(spans.error().message);
    service.spans = std::move(*spans);
  }
  if (!settings.audit_log.empty()) {
    Result<std::unique_ptr<AuditLog>> audit = AuditLog::open(settings.audit_log, tell);
    if (!audit) return fail(audit.error().message);
    service.audit = std::move(*audit);
    service.audit_text = settings.audit_text;
  }
  service.share_prefixes(settings.prefix_public);
  Result<std::unique_ptr<App>> app = App::start(std::move(options), service);
  if (!app) return fail(app.error().message);
  const auto wake = [thread_events] { eventfd_write(thread_events, 1); };

  // Clients that come while the model is loaded hear so instead of finding nobody.
  std::optional<Error> failure;
  std::thread worker([&] {
    if (Status loaded = open_models(settings, service.models); !loaded) {
      failure = loaded.error();
      return wake();
    }
    service.set_phase(Phase::kReady);
    announce(settings, service, (*app)->port(), (*app)->admin_port());
  });

  bool draining = false, stalled = false;
  while (true) {
    pollfd events[] = {{signal_events, POLLIN, 0}, {thread_events, POLLIN, 0}};
    const int ready = poll(events, 2, 5000);
    if (const double seconds = service.stalled_seconds();
        (seconds > 0) != std::exchange(stalled, seconds > 0)) {
      std::fprintf(stderr,
                   seconds > 0 ? "deepwell: the engine has not moved for %.0f s; /health says so\n"
                               : "deepwell: the engine moves again\n",
                   seconds);
    }
    if (ready <= 0) continue;
    if (events[1].revents != 0) break;  // loading failed, or draining is done
    signalfd_siginfo info{};
    if (read(signal_events, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
    if (info.ssi_signo == SIGHUP) {
      if (service.audit) service.audit->reopen();
      continue;
    }
    if (draining || service.phase() != Phase::kReady) {
      std::fflush(nullptr);
      _exit(128 + static_cast<int>(info.ssi_signo));  // nobody is waiting for an answer, or somebody insists
    }
    draining = true;
    std::fprintf(stderr, "deepwell: finishing %d running, at most %.0f s; once more to quit now\n",
                 service.busy(), settings.drain_seconds);
    worker.join();
    worker = std::thread([&] {
      (*app)->drain(std::chrono::milliseconds(static_cast<std::int64_t>(settings.drain_seconds * 1000)));
      wake();
    });
  }
  worker.join();
  close(signal_events);
  close(thread_events);
  if (failure) return fail(failure->message);
  return 0;
}

}  // namespace deepwell
