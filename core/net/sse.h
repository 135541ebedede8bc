// The WHATWG event-stream grammar, to the letter, in place: no allocation and no copy per event.
// Knows nothing of Coze's event names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coze::core {

struct Event {
  std::string_view type;  // "message" when the stream named none
  std::string_view data;  // lines joined by \n
  std::string_view id;    // the last id seen so far, "" when there was none
};

// Feed chunks, take events. One thread at a time.
class EventReader {
 public:
  explicit EventReader(size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}

  // Takes the bytes of `chunk` (by swap when nothing is left over) and leaves it empty with its capacity for reuse.
  void push(std::string &chunk);
  // The next complete event; false when more input is needed. The views hold until the next call of push or next.
  // Throws Error(protocol) when one unfinished event exceeds the limit, naming the option that raises it.
  bool next(Event &event);
  // Bytes of an unfinished event that were left at the end of input (such an event is dropped, as the grammar says).
  size_t unfinished() const;
  int64_t retry_ms() const { return retry_ms_; }  // the last valid `retry:` field, -1 when none

 private:
  size_t max_event_bytes_;
  int64_t retry_ms_ = -1;
  std::string buffer_;
  size_t position_ = 0;
  std::string last_id_;
  bool at_start_ = true;
  // implementation detail may grow here
};

}  // namespace coze::core
