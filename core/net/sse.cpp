// The event-stream grammar as a state machine over one buffer that lines are cut from where they stand.
// What an event means, and when a stream may end, is for whoever reads it.
#include "net/sse.h"

#include "base/error.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace coze::core {

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
// A buffer that one large event blew up is not kept for the small ones after it.
constexpr size_t kept_capacity = 1u << 20;

// The value when `line` is the field `name`. No search for the colon: four known names decide, all else is
// ignored. One space is stripped and no more, as the grammar says. `event:  x` is therefore the event " x";
// nobody has seen Coze send that, and white space before JSON data means nothing, so there is no reason to
// leave the grammar.
bool field(std::string_view line, std::string_view name, std::string_view &value) {
  if (!line.starts_with(name)) return false;
  line.remove_prefix(name.size());
  if (!line.empty() && line.front() != ':') return false;
  if (!line.empty()) line.remove_prefix(1);
  if (line.starts_with(' ')) line.remove_prefix(1);
  value = line;
  return true;
}

// Digits only, at least one; beyond 63 bits the largest there is. -1 when it is not a number.
int64_t retry_value(std::string_view digits) {
  int64_t value = digits.empty() ? -1 : 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return -1;
    const int64_t limit = (std::numeric_limits<int64_t>::max() - (digit - '0')) / 10;
    value = value > limit ? std::numeric_limits<int64_t>::max() : value * 10 + (digit - '0');
  }
  return value;
}

}  // namespace

void EventReader::push(std::string &chunk) {
  if (position_ == buffer_.size()) {
    if (buffer_.capacity() > kept_capacity) std::string().swap(buffer_);
    buffer_.clear();
    buffer_.swap(chunk);
    position_ = cursor_ = line_feed_ = carriage_return_ = 0;
    return;
  }
  // Moving the rest to the front costs no more than what was consumed, so the whole stream stays linear.
  if (position_ >= buffer_.size() - position_) drop_consumed();
  buffer_.append(chunk);
  chunk.clear();
}

void EventReader::drop_consumed() {
  buffer_.erase(0, position_);
  for (size_t *place : {&cursor_, &line_feed_, &carriage_return_, &type_begin_, &data_begin_, &data_end_}) {
    *place = *place > position_ ? *place - position_ : 0;
  }
  position_ = 0;
}

size_t EventReader::unfinished() const { return buffer_.size() - position_; }

bool EventReader::next(Event &event) {
  if (at_start_ && !skip_byte_order_mark()) return false;
  std::string_view line;
  while (next_line(line)) {
    if (line.empty()) {
      const bool dispatch = has_data_;  // an event without a data line is dropped, as the grammar says
      if (dispatch) fill(event);
      begin_event();
      if (dispatch) return true;
    } else {
      take_field(line);
      if (!begun_) position_ = cursor_;  // comments may go on for ever
    }
  }
  return false;
}

// False while the first bytes may still turn out to be a byte order mark.
bool EventReader::skip_byte_order_mark() {
  const std::string_view head = std::string_view(buffer_).substr(0, byte_order_mark.size());
  if (byte_order_mark.starts_with(head)) {
    if (head.size() < byte_order_mark.size()) return false;
    position_ = cursor_ = head.size();
  }
  at_start_ = false;
  return true;
}

// Moves `place` on to the first `wanted` at or after the cursor, or to the end of the buffer. A place at the
// end goes on from there when more bytes came, so no byte is looked at twice.
void EventReader::seek(size_t &place, char wanted) const {
  if (place < cursor_) place = cursor_;
  if (place == buffer_.size() || buffer_[place] == wanted) return;
  const void *found = std::memchr(buffer_.data() + place, wanted, buffer_.size() - place);
  place = found ? static_cast<size_t>(static_cast<const char *>(found) - buffer_.data()) : buffer_.size();
}

// Cuts the next line off. A CR ends it at once; an LF that follows, perhaps in a later chunk, belongs to it.
bool EventReader::next_line(std::string_view &line) {
  if (skip_line_feed_ && cursor_ < buffer_.size()) {
    skip_line_feed_ = false;
    if (buffer_[cursor_] == '\n') {
      if (position_ == cursor_) ++position_;
      ++cursor_;
    }
  }
  seek(line_feed_, '\n');
  seek(carriage_return_, '\r');
  const size_t end = std::min(line_feed_, carriage_return_);
  // Also for a line that is complete: whether an event is too large must not depend on how it was cut into
  // chunks.
  if (end - position_ > max_event_bytes_) throw too_large();
  if (end == buffer_.size()) return false;
  line = std::string_view(buffer_).substr(cursor_, end - cursor_);
  skip_line_feed_ = buffer_[end] == '\r';
  cursor_ = end + 1;
  return true;
}

void EventReader::take_field(std::string_view line) {
  std::string_view value;
  switch (line.front()) {
    case 'd':
      if (field(line, "data", value)) add_data(value);
      break;
    case 'e':
      if (field(line, "event", value)) set_type(value);
      break;
    case 'i':
      if (field(line, "id", value)) set_id(value);
      break;
    case 'r':
      if (field(line, "retry", value)) {
        const int64_t retry = retry_value(value);
        if (retry >= 0) retry_ms_ = retry;
      }
      break;
    default:
      break;
  }
}

// The first line stays where it is; each further one is moved down behind it, over bytes that are done with.
void EventReader::add_data(std::string_view value) {
  char *const base = buffer_.data();
  if (!has_data_) {
    begun_ = has_data_ = true;
    data_begin_ = static_cast<size_t>(value.data() - base);
    data_end_ = data_begin_ + value.size();
    return;
  }
  base[data_end_++] = '\n';
  std::memmove(base + data_end_, value.data(), value.size());
  data_end_ += value.size();
}

// After a data line the place of the name may be needed for more data, so there (and only there) it is
// copied.
void EventReader::set_type(std::string_view value) {
  begun_ = true;
  if (has_data_) {
    type_ = TypePlace::copied;
    type_copy_.assign(value);
  } else {
    type_ = TypePlace::in_buffer;
    type_begin_ = static_cast<size_t>(value.data() - buffer_.data());
    type_size_ = value.size();
  }
}

// Behind each text stands the end of its line, which nobody needs any more: room for the NUL.
// Held across events, so it is copied; its room is used again.
void EventReader::set_id(std::string_view value) {
  begun_ = true;
  if (value.find('\0') == value.npos) last_id_.assign(value);
}

void EventReader::fill(Event &event) {
  const std::string_view buffer(buffer_);
  event.type = {};
  if (type_ == TypePlace::in_buffer) {
    event.type = buffer.substr(type_begin_, type_size_);
    buffer_[type_begin_ + type_size_] = '\0';
  }
  if (type_ == TypePlace::copied) event.type = type_copy_;
  if (event.type.empty()) event.type = "message";
  event.data = buffer.substr(data_begin_, data_end_ - data_begin_);
  buffer_[data_end_] = '\0';
  event.id = last_id_;
}

void EventReader::begin_event() {
  position_ = cursor_;
  begun_ = has_data_ = false;
  type_ = TypePlace::none;
}

Error EventReader::too_large() const {
  return Error(Status::protocol,
               "One event of the stream is larger than " + std::to_string(max_event_bytes_) +
                   " bytes. Raise the option max_event_bytes if events of this size are expected.");
}

}  // namespace coze::core
