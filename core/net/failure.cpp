// curl's verdicts in the library's words: which status, what failed, against whom, what to do.
// Never a path, a query or a secret: host and port are all that is shown of a URL.
#include "base/text.h"
#include "base/url.h"
#include "net/transfer.h"

#include <cerrno>
#include <string>
#include <system_error>

namespace coze::core {
namespace {

// The values of OpenSSL's verification result (CURLINFO_SSL_VERIFYRESULT) that deserve their own words.
enum Verification : long {
  not_yet_valid = 9,
  expired = 10,
  self_signed = 18,
  self_signed_in_chain = 19,
  no_local_issuer = 20,
  no_issuer = 21,
  revoked = 23,
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Why a connection could not be made. (curl keeps that number for good: later it may be of an older failure.)
std::string connect_reason(const Verdict &verdict) {
  long number = 0;
  curl_easy_getinfo(verdict.handle, CURLINFO_OS_ERRNO, &number);
  if (number != 0) return std::generic_category().message(static_cast<int>(number));
  return curl_easy_strerror(verdict.code);
}

// curl's own words, which may quote the server.
std::string reason(const Verdict &verdict) {
  return verdict.text.empty() ? curl_easy_strerror(verdict.code) : quotable(verdict.text);
}

// "127.0.0.1:3128" of curl's "Failed to connect to 127.0.0.1 port 3128 after …": the proxy, when there is
// one.
std::string next_hop(std::string_view text) {
  constexpr std::string_view start = "Failed to connect to ", middle = " port ";
  const size_t at = text.find(start), port = text.find(middle);
  if (at == std::string_view::npos || port == std::string_view::npos || port < at) return "";
  const std::string_view name = text.substr(at + start.size(), port - at - start.size());
  const std::string_view rest = text.substr(port + middle.size());
  std::string hop =
      name.find(':') == std::string_view::npos ? std::string(name) : "[" + std::string(name) + "]";
  return quotable(hop.append(":").append(rest.substr(0, rest.find_first_not_of("0123456789"))));
}

std::string trust_source(Settings &settings) {
  const Trust &trust = settings.trust();
  return trust.tried.empty() ? "nothing" : trust.tried.back();
}

std::string proxy_name(const Verdict &verdict) {
  if (!verdict.settings.proxy) return "from the environment";
  std::string_view name = *verdict.settings.proxy;
  if (const size_t at = name.find("://"); at != std::string_view::npos) name.remove_prefix(at + 3);
  if (const size_t at = name.rfind('@'); at != std::string_view::npos) name.remove_prefix(at + 1);
  return std::string(name.substr(0, name.find('/')));
}

Error unknown_authority(const Verdict &verdict, const std::string &start) {
  return {Status::tls, start + "its certificate is self-signed or from an unknown authority (trusted: " +
                           trust_source(verdict.settings) +
                           "). If you trust it, set the option ca_file to the authority's certificate"};
}

// The client's own certificate, which never got as far as the server. curl's words name the file that is at
// fault.
Error identity_failure(const Verdict &verdict) {
  const Identity &identity = verdict.settings.identity();
  std::string files = "the client certificate " + identity.certificate_file;
  if (identity.key_file != identity.certificate_file) files += " with the key " + identity.key_file;
  return {Status::tls, files + " could not be used: " + reason(verdict) +
                           ". Check that the files hold PEM, that they belong together, and the option "
                           "client_key_password if the key is encrypted"};
}

// The server's alert about the certificate that it was shown, or was not; "" when it is about something else.
std::string alert_about_identity(const Verdict &verdict) {
  struct Alert {
    std::string_view words, meaning;
  };
  static constexpr Alert alerts[] = {
      {"alert certificate required", "it wants a client certificate"},
      {"alert handshake failure",
       "it accepts none of our versions and ciphers, or wants a client certificate"},
      {"alert bad certificate", "it did not accept the client certificate"},
      {"alert unsupported certificate", "it did not accept the kind of the client certificate"},
      {"alert certificate revoked", "it says that the client certificate was revoked"},
      {"alert certificate expired", "it says that the client certificate has expired"},
      {"alert certificate unknown", "it did not accept the client certificate"},
      {"alert unknown ca", "it does not know the authority of the client certificate"},
  };
  for (const auto &[words, meaning] : alerts) {
    if (contains(verdict.text, words)) return std::string(meaning);
  }
  return "";
}

Error tls_failure(const Verdict &verdict, const std::string &host) {
  long result = 0, proxy_result = 0;
  curl_easy_getinfo(verdict.handle, CURLINFO_SSL_VERIFYRESULT, &result);
  curl_easy_getinfo(verdict.handle, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy_result);
  const bool at_proxy = proxy_result != 0;
  if (at_proxy) result = proxy_result;
  const std::string start =
      "TLS with " + (at_proxy ? "the proxy " + proxy_name(verdict) : host) + " failed: ";
  const auto error = [&](const std::string &text) { return Error(Status::tls, start + text); };
  if (verdict.code == CURLE_SSL_CACERT_BADFILE) {
    return error("the certificates of authorities could not be read (" + trust_source(verdict.settings) +
                 "). Check that it exists and holds PEM certificates");
  }
  if (verdict.code == CURLE_PEER_FAILED_VERIFICATION) {
    switch (result) {
      case expired:
        return error("its certificate has expired. Check this machine's clock, or tell the server's owner");
      case not_yet_valid:
        return error(
            "its certificate is not valid yet. Check this machine's clock, or tell the server's owner");
      case self_signed:
      case self_signed_in_chain:
      case no_local_issuer:
      case no_issuer:
        return unknown_authority(verdict, start);
      case revoked:
        return error("its certificate was revoked. Tell the server's owner");
      default:
        if (contains(verdict.text, "subject name")) {
          return error("its certificate is for another host name. Check the address for mistakes");
        }
    }
  }
  // How OpenSSL says that a trusted authority of that name has another key.
  if (contains(verdict.text, "asn1 encoding routines::EVP lib")) return unknown_authority(verdict, start);
  if (contains(verdict.text, "wrong version number") || contains(verdict.text, "http request")) {
    return error(
        "it does not speak TLS on that port. Check the address: it may need http:// or another port");
  }
  if (const std::string meaning = alert_about_identity(verdict); !meaning.empty()) {
    return error(meaning + ". Set the option client_cert_file to one that the server's owner gave you");
  }
  if (contains(verdict.text, "protocol version") || contains(verdict.text, "unsupported protocol")) {
    return error("it offers no TLS version from 1.2 on. Tell the server's owner");
  }
  return error(verdict.text.empty() ? std::string(curl_easy_strerror(verdict.code))
                                    : std::string(verdict.text));
}

Error no_connection(const Verdict &verdict, const std::string &host) {
  const std::string why = ": " + connect_reason(verdict);
  const std::string hop = next_hop(verdict.text);
  const bool may_be_proxy = !verdict.settings.proxy || !verdict.settings.proxy->empty();
  if (may_be_proxy && !hop.empty() && hop != host) {
    return {Status::network, "could not connect to the proxy " + hop + why +
                                 ". Check the option proxy, or https_proxy and its kin in the environment"};
  }
  return {Status::network, "could not connect to " + host + why +
                               ". Check the address and the network, or set the option proxy"};
}

Error timeout(const Verdict &verdict, const std::string &host) {
  const HttpRequest &request = verdict.request;
  const bool connecting = !verdict.requested && request.connect_timeout_ms < request.total_timeout_ms;
  if (connecting) return connect_timeout_of(request);
  return {Status::timeout, "no complete answer from " + host + " within " +
                               std::to_string(request.total_timeout_ms) +
                               " ms. Raise the option total_timeout_ms if that is normal"};
}

// Broken off before its end. What had come of a collected answer is dropped.
Error cut(const Verdict &verdict, const std::string &host) {
  if (verdict.stream)
    return {Status::stream_cut, "the stream of " + host + " broke off before its end: " + reason(verdict)};
  long connect_code = 0;
  curl_easy_getinfo(verdict.handle, CURLINFO_HTTP_CONNECTCODE, &connect_code);
  if (!verdict.requested && connect_code != 0) {
    return {Status::network,
            "the proxy " + proxy_name(verdict) + " refused a connection to " + host + " with HTTP status " +
                std::to_string(connect_code) +
                (connect_code == 407 ? ": it wants a user and password, or others than it got. Give "
                                       "them in the option proxy, such as "
                                       "http://user:password@host:3128"
                                     : ". Check the option proxy")};
  }
  if (verdict.code == CURLE_GOT_NOTHING)
    return {Status::network, host + " closed the connection before its answer was complete"};
  return {Status::network, "the connection to " + host + " broke: " + reason(verdict)};
}

// A handshake that ended because the connection did is no verdict on a certificate.
bool is_broken_connection(const Verdict &verdict) {
  return verdict.code == CURLE_SSL_CONNECT_ERROR &&
         (contains(verdict.text, "SSL_ERROR_SYSCALL") || contains(verdict.text, "onnection reset") ||
          contains(verdict.text, "unexpected eof"));
}

}  // namespace

std::string host_of(const std::string &url) {
  const auto parts = Url::parse(url);
  if (!parts) return "the server";
  const int port = parts->port != 0 ? parts->port : parts->scheme == "https" ? 443 : 80;
  return parts->host + ":" + std::to_string(port);
}

Error connect_timeout_of(const HttpRequest &request) {
  return {Status::timeout,
          "could not connect to " + host_of(request.url) + " within " +
              std::to_string(request.connect_timeout_ms) +
              " ms. Check the address and the network, or raise the option connect_timeout_ms"};
}

Error failure_of(const Verdict &verdict) {
  const std::string host = host_of(verdict.request.url);
  if (is_broken_connection(verdict)) return cut(verdict, host);
  switch (verdict.code) {
    case CURLE_URL_MALFORMAT:
      return {Status::invalid_argument, "the URL of the request is not valid: " + reason(verdict)};
    case CURLE_OUT_OF_MEMORY:
      return {Status::memory, "out of memory while talking to " + host};
    case CURLE_COULDNT_RESOLVE_HOST:
      return {Status::network, "could not find the address of " + host +
                                   ". Check the name and the network, or set the option proxy"};
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {Status::network,
              "could not find the address of the proxy " + proxy_name(verdict) + ". Check the option proxy"};
    case CURLE_COULDNT_CONNECT:
      return no_connection(verdict, host);
    case CURLE_OPERATION_TIMEDOUT:
      return timeout(verdict, host);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return tls_failure(verdict, host);
    case CURLE_SSL_CERTPROBLEM:
      return identity_failure(verdict);
    case CURLE_PROXY:
      return {Status::network, "the proxy " + proxy_name(verdict) + " refused a connection to " + host +
                                   ": " + reason(verdict) +
                                   ". Check the option proxy, its user and password included"};
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      // With TLS 1.3 a server looks at the client's certificate when the request is on its way already.
      if (!alert_about_identity(verdict).empty()) return tls_failure(verdict, host);
      return cut(verdict, host);
    case CURLE_UNSUPPORTED_PROTOCOL:
      if (!verdict.requested) {
        return {Status::invalid_argument, "the URL of the request begins with neither http:// nor https://"};
      }
      [[fallthrough]];
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return {Status::protocol, "the answer of " + host + " is not valid HTTP: " + reason(verdict) +
                                    ". Check the address, and whether a proxy stands between"};
    default:
      return {Status::internal, "the exchange with " + host + " failed: " + reason(verdict)};
  }
}

}  // namespace coze::core
