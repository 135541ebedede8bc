// Looking things up in the table, and printing it. The rows themselves are made at build time.
#include "api/openapi.h"

#include "json/writer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace coze::core {
namespace {

// The members of one kind of nested object.
struct NestedType {
  TableText name;
  uint16_t first_field, field_count;
};

#include "operations_table.inc"

constexpr const char *type_names[] = {
    "string",        "integer",       "number", "boolean", "object", "map<string,any>", "map<string,string>",
    "array<string>", "array<object>", "file"};
constexpr const char *place_names[] = {"path", "query", "body", "form"};
constexpr const char *call_names[] = {"request", "stream", "socket", "auth"};
constexpr const char *body_names[] = {"none", "json", "multipart"};
constexpr const char *style_names[] = {"number", "token", "cursor"};

template <class Enum, size_t N>
const char *name_of(Enum value, const char *const (&names)[N]) {
  return names[static_cast<size_t>(value)];
}

// "/v1/bots/{bot_id}" against "/v1/bots/7379": what is in braces stands for one segment.
bool matches(std::string_view pattern, std::string_view path) {
  while (!pattern.empty() && !path.empty()) {
    const auto of_pattern = pattern.substr(0, pattern.find('/', 1));
    const auto of_path = path.substr(0, path.find('/', 1));
    if (!of_pattern.starts_with("/{") ? of_pattern != of_path : of_path.size() < 2) return false;
    pattern.remove_prefix(of_pattern.size());
    path.remove_prefix(of_path.size());
  }
  return pattern.empty() && path.empty();
}

// --- the table as JSON

void write_optional(JsonWriter &json, const char *name, TableText text) {
  if (text.given()) json.member(name, text.view());
}

void write_flag(JsonWriter &json, const char *name, bool flag) {
  if (flag) json.member(name, true);
}

std::string full_type_name(const Field &field) {
  if (!field.has_members()) return std::string(type_name(field));
  const std::string name(types[field.nested].name.view());
  return field.type == ValueType::objects ? "array<" + name + ">" : name;
}

void write_field(JsonWriter &json, const Field &field, bool is_argument) {
  json.begin_object().member("name", field.name.view());
  if (is_argument) json.member("in", name_of(field.place, place_names));
  json.member("type", full_type_name(field));
  write_flag(json, "required", field.required);
  if (field.default_value.given()) json.key("default").raw(field.default_value);
  if (field.choice_count > 0) {
    json.key("enum").begin_array();
    for (const uint16_t choice : field.choices()) json.raw(TableText(choice));
    json.end_array();
  }
  if (field.joined) json.member("encoding", "comma");
  json.end_object();
}

void note_types(std::span<const Field> some, std::vector<uint16_t> &found) {
  for (const Field &field : some) {
    if (!field.has_members() || std::ranges::find(found, field.nested) != found.end()) continue;
    found.push_back(field.nested);
    note_types(field.members(), found);
  }
}

void write_types(JsonWriter &json, const ApiOperation &operation) {
  std::vector<uint16_t> found;
  note_types(operation.arguments(), found);
  if (found.empty()) return;
  json.key("types").begin_object();
  for (const uint16_t type : found) {
    json.key(types[type].name).begin_array();
    for (size_t i = 0; i < types[type].field_count; ++i)
      write_field(json, fields[types[type].first_field + i], false);
    json.end_array();
  }
  json.end_object();
}

void write_page(JsonWriter &json, const Page &page) {
  json.key("page").begin_object().member("style", name_of(page.style, style_names));
  json.member("in", name_of(page.place, place_names));
  for (const auto &[name, text] :
       {std::pair("page", page.page), std::pair("token", page.token), std::pair("before", page.before),
        std::pair("after", page.after), std::pair("size", page.size)})
    write_optional(json, name, text);
  json.member("size_default", page.size_default);
  for (const auto &[name, text] :
       {std::pair("items", page.items), std::pair("total", page.total), std::pair("has_more", page.has_more),
        std::pair("next", page.next), std::pair("first", page.first), std::pair("last", page.last)})
    write_optional(json, name, text);
  json.end_object();
}

void write_stream(JsonWriter &json, const StreamEnding &ending) {
  json.key("stream").begin_object().member("closing", ending.closing.view());
  if (!ending.may_end.view().empty()) json.member("may_end", ending.may_end.view());
  write_flag(json, "numbered", ending.numbered);
  if (ending.switched_by_body) json.member("switch", "stream");
  json.end_object();
}

void write_operation(JsonWriter &json, const ApiOperation &operation) {
  json.begin_object().member("id", operation.id.view()).member("method", operation.method.view());
  json.member("path", operation.path.view()).member("call", name_of(operation.call, call_names));
  json.member("body", name_of(operation.body, body_names));
  write_optional(json, "result", operation.result);
  if (operation.answers_bytes) json.member("answer", "bytes");
  write_flag(json, "repeatable", operation.repeatable);
  write_flag(json, "deprecated", operation.deprecated);
  if (operation.deprecated) json.member("successor", operation.successor.view());
  write_optional(json, "permission", operation.permission);
  write_optional(json, "doc", operation.doc);
  if (const StreamEnding *ending = operation.ending()) write_stream(json, *ending);
  if (const Page *page = operation.page()) write_page(json, *page);
  json.key("arguments").begin_array();
  for (const Field &field : operation.arguments()) write_field(json, field, true);
  json.end_array();
  write_types(json, operation);
  json.end_object();
}

}  // namespace

std::string_view TableText::view() const {
  return given() ? std::string_view(texts + place_) : std::string_view();
}

std::span<const uint16_t> Field::choices() const {
  return {coze::core::choices + first_choice, choice_count};
}

std::span<const Field> Field::members() const {
  if (!has_members()) return {};
  return {fields + types[nested].first_field, types[nested].field_count};
}

std::span<const Field> ApiOperation::arguments() const { return {fields + first_argument, argument_count}; }

const StreamEnding *ApiOperation::ending() const { return stream == 0xFFFF ? nullptr : streams + stream; }

const Page *ApiOperation::page() const { return page_index == 0xFFFF ? nullptr : pages + page_index; }

std::span<const ApiOperation> operations() { return coze::core::operation_rows; }

const ApiOperation *find_operation(std::string_view id) {
  const auto found =
      std::ranges::find(operations(), id, [](const ApiOperation &one) { return one.id.view(); });
  return found == operations().end() ? nullptr : &*found;
}

const ApiOperation *find_operation(std::string_view method, std::string_view path) {
  const ApiOperation *best = nullptr;
  for (const ApiOperation &one : operations()) {
    if (one.method.view() != method) continue;
    if (one.path.view() == path) return &one;  // a literal goes before what is in braces
    if (matches(one.path, path)) best = &one;
  }
  return best;
}

std::string_view type_name(const Field &field) { return name_of(field.type, type_names); }

const char *operations_json() {
  static const std::string *const text = [] {
    JsonWriter json;
    json.begin_array();
    for (const ApiOperation &operation : operations()) write_operation(json, operation);
    return new std::string(json.end_array().take());
  }();
  return text->c_str();
}

}  // namespace coze::core
