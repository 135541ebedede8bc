// Who waits for whose connection: while one exchange connects to an https origin, those that follow wait for
// it, so that over HTTP/2 they share its connection instead of each making its own. Knows tickets, not
// exchanges.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace coze::core {

class Convoy {
 public:
  using Ticket = uint64_t;

  // True when it may set off now, at the head of others if need be; false when it waits.
  bool may_set_off(const std::string &url, Ticket ticket);
  // Those who may set off because the one before them is no longer on its way. `on_its_way` tells that of a
  // ticket.
  std::vector<Ticket> released(const std::function<bool(Ticket)> &on_its_way);
  // That origin speaks HTTP/1: there is nothing to share, so nobody waits there any more.
  void speaks_http1(const std::string &url);

 private:
  struct Group {
    Ticket head;
    std::vector<Ticket> waiting;
  };
  std::map<std::string, Group, std::less<>> groups_;  // by origin
  std::set<std::string, std::less<>> http1_;
};

}  // namespace coze::core
