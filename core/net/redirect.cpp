// Redirects by RFC 9110 section 15.4, with references resolved by curl's URL parser (RFC 3986 section 5.2).
#include "net/redirect.h"

#include "base/url.h"

#include <curl/curl.h>

#include <memory>

namespace coze::core {
namespace {

bool is_redirect(int32_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// `reference` as seen from `base`, without a fragment; nullopt when it is no address, or names a user.
std::optional<std::string> resolved(const std::string &base, const std::string &reference) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  if (!url) throw std::bad_alloc();
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK) return std::nullopt;
  if (curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), CURLU_DISALLOW_USER | CURLU_URLENCODE) !=
      CURLUE_OK)
    return std::nullopt;
  curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  char *text = nullptr;
  if (curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) return std::nullopt;
  const std::unique_ptr<char, decltype(&curl_free)> owner(text, curl_free);
  return std::string(text);
}

}  // namespace

std::optional<std::string> next_url(const HttpRequest &request, const HttpReply &reply) {
  if (request.method != "GET" || !is_redirect(reply.status)) return std::nullopt;
  const std::string location(reply.header("location"));
  if (location.empty()) return std::nullopt;
  const auto next = resolved(request.url, location);
  if (!next) return std::nullopt;
  const auto here = Url::parse(request.url), there = Url::parse(*next);
  if (!here || !there || here->origin() != there->origin()) return std::nullopt;
  return next;
}

}  // namespace coze::core
