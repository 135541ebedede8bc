// The WHATWG event-stream grammar, to the letter, in place: no allocation and no copy per event.
// Knows nothing of Coze's event names.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace coze::core {

// Each text is followed by a NUL, so that it can be handed to C as it is.
struct Event {
  std::string_view type;  // "message" when the stream named none
  std::string_view data;  // lines joined by \n
  std::string_view id;    // the last id seen so far, "" when there was none
};

// Feed chunks, take events. One thread at a time.
class EventReader {
 public:
  explicit EventReader(size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}

  // Takes the bytes of `chunk` (by swap when nothing is left over) and leaves it empty with its capacity for
  // reuse.
  void push(std::string &chunk);
  // The next complete event; false when more input is needed. The views hold until the next call of push or
  // next. Throws Error(protocol) when one unfinished event exceeds the limit, naming the option that raises
  // it.
  bool next(Event &event);
  // Bytes of an unfinished event that were left at the end of input (such an event is dropped, as the grammar
  // says).
  size_t unfinished() const;
  int64_t retry_ms() const { return retry_ms_; }  // the last valid `retry:` field, -1 when none

 private:
  // Where the name of the event under construction is.
  enum class TypePlace : uint8_t { none, in_buffer, copied };

  void drop_consumed();
  bool skip_byte_order_mark();
  void seek(size_t &place, char wanted) const;
  bool next_line(std::string_view &line);
  void take_field(std::string_view line);
  void add_data(std::string_view value);
  void set_type(std::string_view value);
  void set_id(std::string_view value);
  void fill(Event &event);
  void begin_event();
  Error too_large() const;

  size_t max_event_bytes_;
  int64_t retry_ms_ = -1;
  // All places are offsets into the buffer: begin of the unfinished event <= begin of the next line.
  std::string buffer_;
  size_t position_ = 0;
  size_t cursor_ = 0;
  // No such byte stands between the cursor and here; here stands one, or the buffer ends.
  size_t line_feed_ = 0;
  size_t carriage_return_ = 0;
  size_t type_begin_ = 0, type_size_ = 0;
  size_t data_begin_ = 0, data_end_ = 0;
  TypePlace type_ = TypePlace::none;
  bool begun_ = false;  // a line of the unfinished event is worth keeping
  bool has_data_ = false;
  bool skip_line_feed_ = false;  // the last line ended in CR
  bool at_start_ = true;
  std::string type_copy_;
  std::string last_id_;
};

}  // namespace coze::core
