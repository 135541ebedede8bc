// The operations of the OpenAPI as a constant table: where each is, what it takes, how its answer pages or
// ends. Made at build time from operations.json, which is the place to change. Sends and checks nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace coze::core {

// A text of the table, or none. Two bytes instead of a pointer: the table needs no relocation.
class TableText {
 public:
  constexpr TableText(int place) : place_(static_cast<uint16_t>(place)) {}
  bool given() const { return place_ != 0xFFFF; }
  std::string_view view() const;  // "" when none
  operator std::string_view() const { return view(); }

 private:
  uint16_t place_;
};

// The orders of these are make_operations.py's too.
enum class ValueType : uint8_t {
  string,
  integer,
  number,
  boolean,
  object,
  map_of_any,
  map_of_strings,
  strings,
  objects,
  file
};
enum class Place : uint8_t { path, query, body, form };
enum class CallKind : uint8_t { request, stream, socket, auth };
enum class BodyKind : uint8_t { none, json, multipart };
enum class PageStyle : uint8_t { number, token, cursor };

// One argument, or one member of a nested object.
struct Field {
  TableText name;
  ValueType type;
  Place place;  // of an argument
  bool required;
  bool joined;      // in a query: one parameter with commas, instead of one for each value
  uint16_t nested;  // of an object or of each object in a list; 0xFFFF = any members
  uint16_t first_choice;
  uint8_t choice_count;
  TableText default_value;  // JSON

  bool has_members() const { return nested != 0xFFFF; }
  std::span<const uint16_t> choices() const;  // each a TableText of JSON
  std::span<const Field> members() const;
};

// How a stream ends.
struct StreamEnding {
  TableText closing;      // this event is the end
  TableText may_end;      // after this one the end of the body is fine too; "" = none
  bool switched_by_body;  // needs "stream": true
  bool numbered;          // event ids count from 0 without gaps
};

// How a list goes on. Pointers (RFC 6901) lead into the answer; names are arguments in `place`.
struct Page {
  PageStyle style;
  Place place;  // query or body
  TableText page, token, before, after, size;
  uint16_t size_default;
  TableText items, total, has_more, next, first, last;
};

struct ApiOperation {
  TableText id, method, path;
  TableText result;  // pointer to what the answer is about; none = nothing but success
  TableText permission, doc;
  CallKind call;
  BodyKind body;
  bool repeatable;
  bool deprecated;
  TableText successor;  // of a deprecated one
  bool ids_as_text;     // wants the header that makes the server write long integers as strings
  bool answers_bytes;
  uint16_t first_argument, argument_count;
  uint16_t stream, page_index;

  std::span<const Field> arguments() const;
  const StreamEnding *ending() const;  // nullptr unless it can stream
  const Page *page() const;            // nullptr unless its answer comes in pages
};

std::span<const ApiOperation> operations();
// nullptr when there is none of that id.
const ApiOperation *find_operation(std::string_view id);
// The operation that such a call is, by a path as it is sent; nullptr when the table has none.
const ApiOperation *find_operation(std::string_view method, std::string_view path);
std::string_view type_name(const Field &field);  // "map<string,any>"; objects without the name of their type

// The whole table as JSON: an array, one object an operation. Made once, never freed.
const char *operations_json();

}  // namespace coze::core
