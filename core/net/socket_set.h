// All WebSockets of the I/O thread: which descriptors are watched for them, and whose time has come.
// What one does then is net/socket_run's.
#pragma once

#include "net/driver.h"
#include "net/engine.h"
#include "net/socket_run.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace coze::core {

class SocketSet {
 public:
  using Ticket = Engine::Ticket;
  using Done = std::function<void(OpenOutcome)>;

  SocketSet(Settings &settings, Driver &driver);
  ~SocketSet();

  void begin(Ticket ticket, HttpRequest request, std::shared_ptr<SocketPipe> pipe, Done done, int64_t now_ms);
  void on_verdict(Ticket ticket, CURLcode code, int64_t now_ms);  // curl's, on connecting
  void step(Ticket ticket, int64_t now_ms);                       // its holder has changed something
  void after_turn(int64_t now_ms);                                // ready descriptors, and deadlines
  void cancel(Ticket ticket, const Error &error);
  void cancel_all(const Error &error);
  int64_t deadline_ms() const;  // of the next step; -1 = none

  size_t size() const { return entries_.size(); }

 private:
  struct Entry;

  template <class Work>
  void with(Ticket ticket, Work work);
  void settle(Ticket ticket, Entry &entry);
  void watch(Ticket ticket, Entry &entry);
  void remove(Ticket ticket);

  Settings &settings_;
  Driver &driver_;
  std::unordered_map<Ticket, std::unique_ptr<Entry>> entries_;
  std::unordered_map<curl_socket_t, Ticket> by_descriptor_;
  std::set<std::pair<int64_t, Ticket>> deadlines_;
  std::vector<Ticket> unread_;  // have more to read, though nothing will tell
};

}  // namespace coze::core
