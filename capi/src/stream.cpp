// Event streams.
#include "handles.h"

using namespace coze::core;

namespace {

const Event *event_of(const coze_stream *stream) { return stream ? stream->stream->event() : nullptr; }

void check_not_forked(const EventStream &stream) {
  if (stream.client()->engine()->forked()) stream.client()->engine()->check_usable();
}

}  // namespace

coze_status coze_stream_next(coze_stream *stream, int64_t timeout_ms) {
  return guard([&] {
    EventStream &own = *given(stream, "stream").stream;
    check_not_forked(own);
    return static_cast<coze_status>(own.next(patience(timeout_ms)));
  });
}

void coze_stream_cancel(coze_stream *stream) {
  if (!stream || stream->stream->client()->engine()->forked()) return;
  quietly(0, [&] { return stream->stream->cancel(), 0; });
}

void coze_stream_free(coze_stream *stream) { free_handle(stream); }

uint64_t coze_stream_id(const coze_stream *stream) { return stream ? stream->stream->id() : 0; }

// The reader puts a NUL behind each text.
const char *coze_stream_event(const coze_stream *stream) {
  const Event *event = event_of(stream);
  return event ? event->type.data() : nullptr;
}

const char *coze_stream_event_id(const coze_stream *stream) {
  const Event *event = event_of(stream);
  return event ? event->id.data() : nullptr;
}

const char *coze_stream_data(const coze_stream *stream) {
  const Event *event = event_of(stream);
  return event ? event->data.data() : nullptr;
}

size_t coze_stream_data_size(const coze_stream *stream) {
  const Event *event = event_of(stream);
  return event ? event->data.size() : 0;
}

coze_json *coze_stream_json(const coze_stream *stream) {
  return guard([&] {
    const Event *event = given(stream, "stream").stream->event();
    if (!event) throw Error(Status::state, "the stream shows no event now: coze_stream_next moves to one");
    return new coze_json{Json::parse(event->data)};
  });
}

const char *coze_stream_log_id(const coze_stream *stream) {
  return stream ? or_null(stream->stream->log_id()) : nullptr;
}
