// The I/O thread's WebSockets: each is stepped when something happens to it, and then asked what it waits
// for.
#include "net/socket_set.h"

#include <new>

namespace coze::core {

struct SocketSet::Entry {
  SocketRun run;
  Done done;  // until it is called
  curl_socket_t descriptor = CURL_SOCKET_BAD;
  int bits = 0;  // what the driver was told
  int64_t deadline_ms = -1;
};

SocketSet::SocketSet(Settings &settings, Driver &driver) : settings_(settings), driver_(driver) {}

SocketSet::~SocketSet() = default;

// Runs `work` on a socket and sees to what follows. Whatever it throws ends that socket alone.
template <class Work>
void SocketSet::with(Ticket ticket, Work work) {
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) return;
  Entry &entry = *found->second;
  try {
    work(entry.run);
  } catch (const Error &error) {
    entry.run.fail(error);
  } catch (const std::bad_alloc &) {
    entry.run.fail(Error(Status::memory, "out of memory in a WebSocket"));
  }
  settle(ticket, entry);
}

void SocketSet::begin(Ticket ticket, HttpRequest request, std::shared_ptr<SocketPipe> pipe, Done done,
                      int64_t now_ms) {
  entries_.emplace(
      ticket, new Entry{SocketRun(settings_, std::move(request), std::move(pipe), now_ms), std::move(done)});
  with(ticket, [&](SocketRun &run) {
    run.connect(driver_.multi(), driver_.hooks());
    run.link().easy().owner = ticket;
  });
}

void SocketSet::on_verdict(Ticket ticket, CURLcode code, int64_t now_ms) {
  with(ticket, [&](SocketRun &run) {
    run.on_verdict(code);
    if (!run.over()) run.step(now_ms);
  });
}

void SocketSet::step(Ticket ticket, int64_t now_ms) {
  with(ticket, [&](SocketRun &run) { run.step(now_ms); });
}

void SocketSet::cancel(Ticket ticket, const Error &error) {
  with(ticket, [&](SocketRun &run) { run.fail(error); });
}

void SocketSet::cancel_all(const Error &error) {
  while (!entries_.empty()) cancel(entries_.begin()->first, error);
}

void SocketSet::after_turn(int64_t now_ms) {
  std::vector<Ticket> due = std::exchange(unread_, {});
  for (const curl_socket_t descriptor : driver_.take_ready()) {
    const auto found = by_descriptor_.find(descriptor);
    if (found != by_descriptor_.end()) due.push_back(found->second);
  }
  for (auto it = deadlines_.begin(); it != deadlines_.end() && it->first <= now_ms; ++it)
    due.push_back(it->second);
  for (const Ticket ticket : due) step(ticket, now_ms);
}

int64_t SocketSet::deadline_ms() const {
  if (!unread_.empty()) return 0;
  return deadlines_.empty() ? -1 : deadlines_.begin()->first;
}

void SocketSet::settle(Ticket ticket, Entry &entry) {
  auto outcome = entry.run.take_outcome();
  const Done done = outcome ? std::exchange(entry.done, nullptr) : nullptr;
  if (entry.run.over()) {
    remove(ticket);
  } else {
    watch(ticket, entry);
  }
  if (done) done(std::move(*outcome));
}

void SocketSet::watch(Ticket ticket, Entry &entry) {
  if (entry.descriptor == CURL_SOCKET_BAD && entry.run.connected()) {
    entry.descriptor = entry.run.link().descriptor();
    by_descriptor_[entry.descriptor] = ticket;
  }
  const int bits =
      (entry.run.wants_read() ? CURL_WAIT_POLLIN : 0) | (entry.run.wants_write() ? CURL_WAIT_POLLOUT : 0);
  if (bits != entry.bits) driver_.observe(entry.descriptor, bits);
  entry.bits = bits;
  if (entry.run.wants_step()) unread_.push_back(ticket);
  const int64_t deadline_ms = entry.run.deadline_ms();
  if (deadline_ms == entry.deadline_ms) return;
  deadlines_.erase({entry.deadline_ms, ticket});
  deadlines_.emplace(deadline_ms, ticket);
  entry.deadline_ms = deadline_ms;
}

void SocketSet::remove(Ticket ticket) {
  const auto found = entries_.find(ticket);
  const std::unique_ptr<Entry> entry = std::move(found->second);
  entries_.erase(found);
  deadlines_.erase({entry->deadline_ms, ticket});
  if (entry->descriptor == CURL_SOCKET_BAD) return;
  if (entry->bits != 0) driver_.observe(entry->descriptor, 0);
  by_descriptor_.erase(entry->descriptor);
}

}  // namespace coze::core
