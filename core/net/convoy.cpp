// The books of who connects and who waits, by origin.
// How long somebody waits at most is the loop's.
#include "net/convoy.h"

namespace coze::core {
namespace {

// "https://host:port" as written; "" for everything else.
std::string_view https_origin(std::string_view url) {
  constexpr std::string_view scheme = "https://";
  if (!url.starts_with(scheme)) return {};
  return url.substr(0, url.find_first_of("/?#", scheme.size()));
}

}  // namespace

bool Convoy::may_set_off(const std::string &url, Ticket ticket) {
  const std::string_view origin = https_origin(url);
  if (origin.empty() || http1_.find(origin) != http1_.end()) return true;
  const auto [group, is_head] = groups_.try_emplace(std::string(origin), Group{ticket, {}});
  if (!is_head) group->second.waiting.push_back(ticket);
  return is_head;
}

std::vector<Convoy::Ticket> Convoy::released(const std::function<bool(Ticket)> &on_its_way) {
  std::vector<Ticket> free;
  for (auto group = groups_.begin(); group != groups_.end();) {
    if (on_its_way(group->second.head)) {
      ++group;
      continue;
    }
    free.insert(free.end(), group->second.waiting.begin(), group->second.waiting.end());
    group = groups_.erase(group);
  }
  return free;
}

void Convoy::speaks_http1(const std::string &url) {
  if (const std::string_view origin = https_origin(url); !origin.empty()) http1_.emplace(origin);
}

}  // namespace coze::core
