// Checking and sorting arguments. Numbers and nested values go out in the very characters in which they came
// in.
#include "api/arguments.h"

#include "base/error.h"
#include "base/text.h"
#include "json/reader.h"

#include <algorithm>

namespace coze::core {
namespace {

constexpr size_t most_problems = 12;  // more do not help, and would not fit

const char *found_name(JsonType type) {
  switch (type) {
    case JsonType::null:
      return "null";
    case JsonType::boolean:
      return "a boolean";
    case JsonType::number:
      return "a number";
    case JsonType::string:
      return "a string";
    case JsonType::array:
      return "an array";
    case JsonType::object:
      return "an object";
    case JsonType::missing:
      break;
  }
  return "nothing";
}

const char *expected_name(ValueType type) {
  switch (type) {
    case ValueType::string:
      return "a string";
    case ValueType::integer:
      return "an integer";
    case ValueType::number:
      return "a number";
    case ValueType::boolean:
      return "true or false";
    case ValueType::object:
    case ValueType::map_of_any:
      return "an object";
    case ValueType::map_of_strings:
      return "an object whose values are strings";
    case ValueType::strings:
      return "an array of strings";
    case ValueType::objects:
      return "an array of objects";
    case ValueType::file:
      return "the path of a file, as a string";
  }
  return "";
}

bool is_integer(const std::string &text) {
  const size_t sign = text.starts_with('-') ? 1 : 0;
  return text.find_first_not_of("0123456789", sign) == text.npos;
}

bool is_climbing(std::string_view segment) { return segment == "." || segment == ".."; }

class Checker {
 public:
  Checker(const ApiOperation &operation, const Json &json) : operation_(operation), json_(json) {}

  void check() {
    check_members(operation_.arguments(), "", "");
    if (!problems_.empty()) refuse();
  }

 private:
  void problem(const std::string &place, const std::string &text) {
    ++count_;
    if (problems_.size() < most_problems) problems_.push_back(place + " " + text);
  }

  [[noreturn]] void refuse() const {
    std::string message(operation_.id.view());
    message += count_ == 1 ? ": " : ": " + std::to_string(count_) + " problems with the arguments: ";
    for (size_t i = 0; i < problems_.size(); ++i) message += (i ? "; " : "") + problems_[i];
    if (count_ > problems_.size()) message += "; and more";
    throw Error(Status::invalid_argument, std::move(message));
  }

  // `place` is for people ("prompt_info."), `pointer` for the reader ("/prompt_info").
  void check_members(std::span<const Field> fields, const std::string &place, const std::string &pointer) {
    check_names(fields, place, pointer);
    for (const Field &field : fields)
      check_value(field, place + std::string(field.name.view()), pointer + pointer_step(field.name));
  }

  void check_names(std::span<const Field> fields, const std::string &place, const std::string &pointer) {
    std::vector<std::string> seen;
    std::vector<std::string_view> known;
    for (const Field &field : fields) known.push_back(field.name);
    const size_t size = json_.size(pointer);
    for (size_t i = 0; i < size; ++i) {
      const std::string name = json_.key(pointer, i).value_or("");
      if (std::ranges::find(seen, name) != seen.end()) problem(place + quotable(name, 60), "is given twice");
      seen.push_back(name);
      if (std::ranges::find(known, name) == known.end()) unknown(place + quotable(name, 60), name, known);
    }
  }

  void unknown(const std::string &place, std::string_view name, const std::vector<std::string_view> &known) {
    const std::string_view meant = closest(name, known);
    if (!meant.empty()) return problem(place, "is not known: did you mean " + std::string(meant) + "?");
    if (known.empty()) return problem(place, "is not known: no arguments are expected");
    std::string all;
    for (const auto one : known) all += (all.empty() ? "" : ", ") + std::string(one);
    problem(place, "is not known: expected are " + all);
  }

  void check_value(const Field &field, const std::string &place, const std::string &pointer) {
    const JsonType type = json_.type(pointer);
    if (type == JsonType::missing || type == JsonType::null) {
      const bool can_come_later = field.type == ValueType::file || field.default_value.given();
      if (field.required && !can_come_later)
        problem(place, std::string("is missing: expected ") + expected_name(field.type));
      return;
    }
    if (!fits(field.type, type, pointer)) return mistyped(field, place, type, pointer);
    if (field.type == ValueType::object && field.has_members())
      check_members(field.members(), place + ".", pointer);
    if (field.type == ValueType::map_of_strings) check_map(place, pointer);
    if (field.type == ValueType::strings || field.type == ValueType::objects)
      check_list(field, place, pointer);
    if (field.type == ValueType::file && json_.string(pointer)->empty())
      problem(place, "must not be empty: expected the path of a file");
    if (field.place == Place::path && pointer.find('/', 1) == pointer.npos) check_segment(place, pointer);
  }

  bool fits(ValueType wanted, JsonType type, const std::string &pointer) const {
    switch (wanted) {
      case ValueType::string:
      case ValueType::file:
        return type == JsonType::string;
      case ValueType::integer:
        return type == JsonType::number && is_integer(*json_.number(pointer)) &&
               json_.integer(pointer).has_value();
      case ValueType::number:
        return type == JsonType::number;
      case ValueType::boolean:
        return type == JsonType::boolean;
      case ValueType::object:
      case ValueType::map_of_any:
      case ValueType::map_of_strings:
        return type == JsonType::object;
      case ValueType::strings:
      case ValueType::objects:
        return type == JsonType::array;
    }
    return false;
  }

  void mistyped(const Field &field, const std::string &place, JsonType type, const std::string &pointer) {
    std::string found = found_name(type);
    if (type == JsonType::number && field.type == ValueType::integer)
      found += is_integer(*json_.number(pointer)) ? " beyond 64 bits" : " with a fraction";
    std::string text = std::string("expected ") + expected_name(field.type) + ", not " + found;
    if (field.type == ValueType::string && type == JsonType::number)
      text += ": put it in quotes, \"" + quotable(json_.number(pointer).value_or(""), 40) + "\"";
    problem(place + ":", text);
  }

  void check_map(const std::string &place, const std::string &pointer) {
    const size_t size = json_.size(pointer);
    for (size_t i = 0; i < size; ++i) {
      const std::string name = json_.key(pointer, i).value_or("");
      const JsonType type = json_.type(pointer + pointer_step(name));
      if (type != JsonType::string)
        problem(place + "." + quotable(name, 60) + ":",
                std::string("expected a string, not ") + found_name(type));
    }
  }

  void check_list(const Field &field, const std::string &place, const std::string &pointer) {
    const JsonType wanted = field.type == ValueType::strings ? JsonType::string : JsonType::object;
    const size_t size = json_.size(pointer);
    for (size_t i = 0; i < size; ++i) {
      const std::string one_place = place + "[" + std::to_string(i) + "]",
                        one = pointer + "/" + std::to_string(i);
      const JsonType type = json_.type(one);
      if (type != wanted) {
        problem(one_place + ":", std::string("expected ") + found_name(wanted) + ", not " + found_name(type));
      } else if (wanted == JsonType::object && field.has_members()) {
        check_members(field.members(), one_place + ".", one);
      } else if (field.joined && json_.string(one)->find(',') != std::string::npos) {
        problem(one_place, "must have no comma: commas stand between the values of this parameter");
      }
    }
  }

  void check_segment(const std::string &place, const std::string &pointer) {
    const std::string value = *json_.string(pointer);
    if (value.empty()) return problem(place, "must not be empty: it is a part of the path");
    if (is_climbing(value)) problem(place, "must not be \"" + value + "\": it is a part of the path");
  }

  const ApiOperation &operation_;
  const Json &json_;
  std::vector<std::string> problems_;
  size_t count_ = 0;
};

// --- sorting: everything is known to fit

// A value as the text of a query parameter or of a form field.
std::string plain_text(const Json &json, const std::string &pointer) {
  return json.type(pointer) == JsonType::string ? *json.string(pointer) : *json.raw(pointer);
}

void add_query(QueryPairs &query, const Field &field, const Json &json, const std::string &pointer) {
  const std::string name(field.name.view());
  if (field.type != ValueType::strings) {
    query.emplace_back(name, plain_text(json, pointer));
    return;
  }
  std::string joined;
  const size_t size = json.size(pointer);
  for (size_t i = 0; i < size; ++i) {
    std::string one = *json.string(pointer + "/" + std::to_string(i));
    if (field.joined) {
      joined += (i ? "," : "") + one;
    } else {
      query.emplace_back(name, std::move(one));
    }
  }
  if (field.joined) query.emplace_back(name, std::move(joined));
}

void set_segment(std::string &path, const Field &field, std::string_view value) {
  const std::string braces = "{" + std::string(field.name.view()) + "}";
  path.replace(path.find(braces), braces.size(), percent_encode(value));
}

void add_member(std::string &body, const Field &field, const std::string &raw) {
  body += (body.size() > 1 ? ",\"" : "\"") + std::string(field.name.view()) + "\":" + raw;
}

}  // namespace

Arguments read_arguments(const ApiOperation &operation, std::string_view text) {
  const std::string id(operation.id.view());
  std::optional<Json> parsed;
  try {
    parsed = Json::parse(text);
  } catch (const Error &error) {
    throw Error(Status::invalid_argument, id + ": the arguments are not valid JSON: " + error.message);
  }
  const Json &json = *parsed;
  if (json.type() != JsonType::object)
    throw Error(Status::invalid_argument,
                id + ": the arguments must be one JSON object, such as {\"name\": \"value\"}, not " +
                    found_name(json.type()));
  Checker(operation, json).check();

  Arguments sorted;
  sorted.path = operation.path.view();
  std::string body = "{";
  for (const Field &field : operation.arguments()) {
    const std::string pointer = pointer_step(field.name), name(field.name.view());
    const JsonType type = json.type(pointer);
    if (type == JsonType::missing || type == JsonType::null) {
      if (!field.required || !field.default_value.given()) continue;
      if (field.place == Place::query) sorted.query.emplace_back(name, field.default_value.view());
      if (field.place == Place::body) add_member(body, field, std::string(field.default_value.view()));
      continue;
    }
    switch (field.place) {
      case Place::path:
        set_segment(sorted.path, field, *json.string(pointer));
        break;
      case Place::query:
        add_query(sorted.query, field, json, pointer);
        break;
      case Place::body:
        add_member(body, field, *json.raw(pointer));
        break;
      case Place::form:
        (field.type == ValueType::file ? sorted.files : sorted.fields)
            .emplace_back(name, plain_text(json, pointer));
        break;
    }
  }
  if (operation.body == BodyKind::json) sorted.body = body + "}";
  return sorted;
}

}  // namespace coze::core
