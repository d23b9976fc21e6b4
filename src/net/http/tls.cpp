// SPDX-License-Identifier: Apache-2.0
#include "net/http/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

namespace deepwell::http {
namespace {
namespace ssl = boost::asio::ssl;

/// Why OpenSSL failed, as the first of its reasons.
std::string reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = ERR_reason_error_string(code);
  return text == nullptr ? "unknown reason" : text;
}

Status readable(const std::string& path, const char* what) {
  if (std::ifstream(path)) return Done{};
  return Error{ErrorCode::kIo, fmt::format("cannot read the {} {}: {}", what, path, std::strerror(errno))};
}

// The client offers protocols, each a byte of length and a name. One that wants none of HTTP/1.1 is told so.
int choose_protocol(SSL* /*connection*/, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int size, void* /*unused*/) {
  constexpr std::string_view kOurs = "http/1.1";
  for (unsigned int at = 0; at < size && at + 1 + offered[at] <= size; at += 1U + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
    if (name != kOurs) continue;
    *out = offered + at + 1;
    *out_size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Never asks on a terminal.
int no_password(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return 0; }

Result<Tls::Context> load(const std::string& certificate, const std::string& key) {
  DW_RETURN_IF_ERROR(readable(certificate, "certificate"));
  DW_RETURN_IF_ERROR(readable(key, "key"));
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const raw = context->native_handle();
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20");  // of TLS 1.2; those of 1.3 are all good
  SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(raw, no_password);
  if (SSL_CTX_use_certificate_chain_file(raw, certificate.c_str()) != 1)
    return Error{ErrorCode::kInvalid,
                 fmt::format("{} is no certificate in PEM: {}; it starts with the server's own, those that "
                             "lead to its root follow",
                             certificate, reason())};
  if (SSL_CTX_use_PrivateKey_file(raw, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return Error{ErrorCode::kInvalid, fmt::format("{} is not the key of {}, in PEM and not encrypted: {}",
                                                  key, certificate, reason())};
  if (SSL_CTX_check_private_key(raw) != 1)
    return Error{ErrorCode::kInvalid, fmt::format("{} is not the key of {}: {}", key, certificate, reason())};
  return context;
}

bool is_expired(const Tls::Context& context) {
  const X509* const own = SSL_CTX_get0_certificate(context->native_handle());
  return own != nullptr && X509_cmp_current_time(X509_get0_notAfter(own)) < 0;
}

}  // namespace

Result<std::unique_ptr<Tls>> Tls::open(std::string certificate, std::string key,
                                       std::function<void(const std::string&)> report) {
  std::unique_ptr<Tls> tls(new Tls(std::move(certificate), std::move(key), std::move(report)));
  DW_TRY(tls->context_, load(tls->certificate_, tls->key_));
  if (is_expired(tls->context_) && tls->report_)
    tls->report_(fmt::format("the certificate {} has expired; clients will not trust it", tls->certificate_));
  return tls;
}

Tls::Context Tls::now() {
  if (!watch_.changed()) return context_;
  Result<Context> fresh = load(certificate_, key_);
  if (fresh) context_ = std::move(*fresh);
  if (report_)
    report_(fresh ? "the certificate was read again"
                  : "the certificate stays as it was: " + fresh.error().message);
  return context_;
}

}  // namespace deepwell::http
