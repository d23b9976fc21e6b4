// SPDX-License-Identifier: Apache-2.0
// A client that speaks TLS by OpenSSL, and a certificate made on the spot.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <string>

#include "net/http/raw_client.h"

namespace deepwell::testing_http {

/// A self-signed certificate for `name` and its key, written as PEM.
inline void write_certificate(const std::string& certificate, const std::string& key, const char* name,
                              long valid_seconds = 3600) {
  EVP_PKEY* pair = EVP_EC_gen("P-256");
  X509* own = X509_new();
  X509_set_version(own, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(own), 1);
  X509_gmtime_adj(X509_getm_notBefore(own), -3600);
  X509_gmtime_adj(X509_getm_notAfter(own), valid_seconds);
  X509_NAME* subject = X509_get_subject_name(own);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1,
                             -1, 0);
  X509_set_issuer_name(own, subject);
  X509_set_pubkey(own, pair);
  X509_sign(own, pair, EVP_sha256());
  std::FILE* file = std::fopen(certificate.c_str(), "w");
  PEM_write_X509(file, own);
  std::fclose(file);
  file = std::fopen(key.c_str(), "w");
  PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(own);
  EVP_PKEY_free(pair);
}

class TlsClient {
 public:
  struct Options {
    int version = 0;     ///< the only one spoken; 0: any
    std::string alpn{};  ///< as on the wire; "": none offered
  };
  explicit TlsClient(std::uint16_t port) : TlsClient(port, Options()) {}
  TlsClient(std::uint16_t port, const Options& options)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)), context_(SSL_CTX_new(TLS_client_method())) {
    if (options.version != 0) {
      SSL_CTX_set_security_level(context_, 0);  // lets the client offer what the server must refuse
      SSL_CTX_set_min_proto_version(context_, options.version);
      SSL_CTX_set_max_proto_version(context_, options.version);
    }
    timeval patience{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_);
    if (!options.alpn.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(options.alpn.data()),
                          static_cast<unsigned>(options.alpn.size()));
    shaken_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(socket_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool shaken() const { return shaken_; }
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  std::string subject() const {
    X509* const peer = SSL_get1_peer_certificate(ssl_);
    if (peer == nullptr) return {};
    char text[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, text, sizeof text);
    X509_free(peer);
    return text;
  }
  bool send(const std::string& bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  /// All that comes until the server says that it was all. `clean`: it did, and was not just cut off.
  std::string read_all(bool* clean = nullptr) {
    std::string all;
    char buffer[16384];
    int size = 0;
    while ((size = SSL_read(ssl_, buffer, sizeof buffer)) > 0)
      all.append(buffer, static_cast<std::size_t>(size));
    if (clean != nullptr) *clean = SSL_get_error(ssl_, size) == SSL_ERROR_ZERO_RETURN;
    return all;
  }
  bool read_until(const std::string& text) {
    char buffer[16384];
    while (input.find(text) == std::string::npos) {
      const int size = SSL_read(ssl_, buffer, sizeof buffer);
      if (size <= 0) return false;
      input.append(buffer, static_cast<std::size_t>(size));
    }
    return true;
  }
  std::string input;

 private:
  int socket_;
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  bool shaken_ = false;
};

}  // namespace deepwell::testing_http
