// The reader: simdjson walks the text once, checking all of it, and leaves a flat table of values to look
// things up in. What the fields of an answer mean is known to net/ (envelopes) and auth/ (tokens).
#include "json/reader.h"

#include "base/error.h"
#include "base/secret.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace coze::core {
namespace {

constexpr uint32_t deepest = 512;
constexpr uint32_t none = UINT32_MAX;

// A value, or the name of a member; all in the order of the text, an object's members as name, value, name,
// value.
struct Node {
  JsonType type = JsonType::missing;
  bool escaped = false;         // strings: decoded text is in State::decoded, else in the text itself
  uint32_t begin = 0, end = 0;  // in State::text
  uint32_t next = 0;            // the node behind this one and all that is in it
  uint32_t size = 0;            // members, elements, bytes of the decoded string
  uint32_t decoded = 0;         // strings: where the decoded text begins
};

// The numbers of RFC 8259 section 6. simdjson would do it too, but refuses those that no C++ type holds.
bool is_number(std::string_view text, bool &integer) {
  size_t i = 0;
  const auto digits = [&] {
    const size_t start = i;
    while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
    return i > start;
  };
  if (i < text.size() && text[i] == '-') ++i;
  const size_t first = i;
  if (!digits() || (text[first] == '0' && i > first + 1)) return false;
  integer = i == text.size();
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (!digits()) return false;
  }
  return i == text.size();
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// A reference token of a JSON pointer with ~0 and ~1 resolved; false when there is another "~".
bool unescape_token(std::string_view token, std::string &out) {
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      out += token[i];
    } else if (i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      out += token[++i] == '0' ? '~' : '/';
    } else {
      return false;
    }
  }
  return true;
}

// RFC 6901 section 4: no sign, no leading zeros; "-" names what does not exist.
std::optional<uint32_t> array_index(std::string_view token) {
  uint32_t index = 0;
  const auto [stop, fault] = std::from_chars(token.data(), token.data() + token.size(), index);
  const bool whole = fault == std::errc() && stop == token.data() + token.size();
  if (!whole || token[0] == '-' || (token.size() > 1 && token[0] == '0')) return std::nullopt;
  return index;
}

struct Table {
  Table() = default;
  Table(const Table &) = delete;
  Table &operator=(const Table &) = delete;
  // An answer may carry tokens.
  ~Table() {
    wipe(text.get(), size);
    wipe(decoded);
  }

  // "[" + the text + "]" + padding. In brackets every text is an array of one element: a scalar needs no
  // rules of its own, what follows the value is found like any superfluous element, and the last token closes
  // something, so simdjson cannot run over the end.
  std::unique_ptr<char[]> text;
  size_t size = 0;
  size_t bom = 0;  // bytes skipped in front, for the offsets in messages
  std::vector<Node> nodes;
  std::string decoded;

  // Where the last step over an array or object ended, for the next one.
  uint32_t cursor_parent = none, cursor_index = 0, cursor_node = 0;

  std::string_view string_of(const Node &node) const {
    return {node.escaped ? decoded.data() + node.decoded : text.get() + node.decoded, node.size};
  }
  std::string_view raw_of(const Node &node) const { return {text.get() + node.begin, node.end - node.begin}; }
  uint32_t child(uint32_t parent, uint32_t index);
  uint32_t member(uint32_t parent, std::string_view name) const;
  const Node *find(std::string_view pointer);
};

// The index-th element of an array, or name of an object.
uint32_t Table::child(uint32_t parent, uint32_t index) {
  if (index >= nodes[parent].size) return none;
  if (cursor_parent != parent || cursor_index > index) {
    cursor_parent = parent;
    cursor_index = 0;
    cursor_node = parent + 1;
  }
  const uint32_t to_last = nodes[parent].type == JsonType::object ? 1 : 0;  // from a name to its value
  for (; cursor_index < index; ++cursor_index) cursor_node = nodes[cursor_node + to_last].next;
  return cursor_node;
}

uint32_t Table::member(uint32_t parent, std::string_view name) const {
  uint32_t found = none;
  for (uint32_t at = parent + 1; at < nodes[parent].next; at = nodes[at + 1].next) {
    if (string_of(nodes[at]) == name) found = at + 1;  // goes on: the last one counts
  }
  return found;
}

const Node *Table::find(std::string_view pointer) {
  uint32_t at = 0;
  std::string unescaped;
  while (!pointer.empty()) {
    if (pointer[0] != '/') return nullptr;
    const size_t end = std::min(pointer.find('/', 1), pointer.size());
    std::string_view token = pointer.substr(1, end - 1);
    pointer.remove_prefix(end);
    if (token.find('~') != std::string_view::npos) {
      unescaped.clear();
      if (!unescape_token(token, unescaped)) return nullptr;
      token = unescaped;
    }
    const JsonType type = nodes[at].type;
    const std::optional<uint32_t> index = type == JsonType::array ? array_index(token) : std::nullopt;
    at = type == JsonType::object ? member(at, token) : index ? child(at, *index) : none;
    if (at == none) return nullptr;
  }
  return &nodes[at];
}

namespace ondemand = simdjson::ondemand;

// One walk over a text that fills the table. Each step answers false when the text is no JSON; `fault` says
// why.
class Walk {
 public:
  explicit Walk(Table &table) : table_(table) {}
  bool run();
  std::string fault;

 private:
  // A container whose end has not come yet. The levels are a list of ours, not a recursion: 512 stack frames
  // are too much for a coroutine or a thread with a small stack.
  struct Level {
    uint32_t self = 0;
    bool object = false;
    ondemand::array_iterator elements;
    ondemand::object_iterator members;
    bool open() const {
      return object ? members != ondemand::object_iterator() : elements != ondemand::array_iterator();
    }
    void step() { object ? static_cast<void>(++members) : static_cast<void>(++elements); }
  };

  bool levels();
  bool next();
  bool value(ondemand::value &value);
  bool enter(ondemand::value &value, uint32_t self, bool object);
  bool string(ondemand::value &value, uint32_t self, std::string_view token);
  bool name(ondemand::field &field);
  bool scalar(uint32_t self, std::string_view token);
  void keep_decoded(Node &node, std::string_view text);
  bool close(uint32_t self);

  uint32_t offset(const char *at) const { return static_cast<uint32_t>(at - table_.text.get()); }
  bool refuse(const char *why, const char *at = nullptr);
  bool refuse(simdjson::error_code error);
  bool refuse_next(const char *why);
  uint32_t add(JsonType type, const char *begin) {
    // Filled in place: to copy fields that were just written one by one stalls the processor.
    Node &node = table_.nodes.emplace_back();
    node.type = type;
    node.begin = offset(begin);
    return static_cast<uint32_t>(table_.nodes.size() - 1);
  }

  Table &table_;
  ondemand::parser parser_;
  ondemand::document document_;
  std::vector<Level> levels_;
  uint32_t good_ = 1;  // all before it is known to be JSON; the 1 is our bracket
};

bool Walk::refuse(const char *why, const char *at) {
  // The brackets around the text are ours: a fault at the last one is the end of the text.
  if (at && offset(at) + 1 >= table_.size) return refuse("it ends too early");
  fault = why;
  if (at) fault += " at byte " + std::to_string(offset(at) - 1 + table_.bom);
  return false;
}

bool Walk::refuse(simdjson::error_code error) {
  switch (error) {
    case simdjson::UTF8_ERROR:
      return refuse("it is not valid UTF-8");
    case simdjson::UNCLOSED_STRING:
      return refuse("a string has no closing quote");
    case simdjson::UNESCAPED_CHARS:
      return refuse("a string holds a control character");
    case simdjson::CAPACITY:
      return refuse("it is larger than 4 GiB");
    case simdjson::STRING_ERROR:
      return refuse("a bad escape, or half a surrogate pair, in the string",
                    table_.text.get() + table_.nodes.back().begin);
    case simdjson::MEMALLOC:
      throw std::bad_alloc();
    default:
      break;
  }
  if (levels_.size() == 1 && !table_.nodes.empty()) return refuse_next("something follows the value");
  return refuse_next("unexpected character");
}

// The fault is in the token behind the last good one: simdjson itself may be a token or two further.
bool Walk::refuse_next(const char *why) {
  const char *at = table_.text.get() + good_;
  const bool opened = at[-1] == '[' || at[-1] == '{';
  while (is_space(*at)) ++at;
  if (!opened && (*at == ',' || *at == ':')) ++at;
  while (is_space(*at)) ++at;
  return refuse(why, at);
}

bool Walk::run() {
  // simdjson's own limit counts the root and our brackets too; ours is checked in enter().
  simdjson::error_code error = parser_.allocate(table_.size, deepest + 8);
  if (!error) {
    error = parser_.iterate(table_.text.get(), table_.size, table_.size + simdjson::SIMDJSON_PADDING)
                .get(document_);
  }
  ondemand::array brackets;
  if (!error) error = document_.get_array().get(brackets);
  levels_.reserve(16);
  Level &level = levels_.emplace_back();
  if (!error) error = brackets.begin().get(level.elements);
  if (error) return refuse(error);
  if (!level.open()) return refuse("it is empty");
  if (!levels()) return false;
  // Nothing may be left behind our closing bracket.
  if (document_.current_location().error() != simdjson::OUT_OF_BOUNDS)
    return refuse("there is a bracket too many");
  return true;
}

bool Walk::levels() {
  for (;;) {
    if (levels_.back().open()) {
      const size_t before = levels_.size();
      if (!next()) return false;
      if (levels_.size() == before) levels_.back().step();
      continue;
    }
    const uint32_t self = levels_.back().self;
    levels_.pop_back();
    if (levels_.empty()) return true;
    if (!close(self)) return false;
    levels_.back().step();
  }
}

// The next element or member of the innermost container.
bool Walk::next() {
  Level &level = levels_.back();
  if (levels_.size() == 1 && !table_.nodes.empty()) return refuse_next("something follows the value");
  if (levels_.size() > 1) ++table_.nodes[level.self].size;
  if (level.object) {
    ondemand::field field;
    if (const auto error = (*level.members).get(field)) return refuse(error);
    return name(field) && value(field.value());
  }
  ondemand::value content;
  if (const auto error = (*level.elements).get(content)) return refuse(error);
  return value(content);
}

bool Walk::value(ondemand::value &value) {
  std::string_view token = value.raw_json_token();  // up to the next token, so white space may hang on
  while (!token.empty() && is_space(token.back())) token.remove_suffix(1);
  const char first = token.empty() ? '\0' : token[0];
  switch (first) {
    case '{':
      return enter(value, add(JsonType::object, token.data()), true);
    case '[':
      return enter(value, add(JsonType::array, token.data()), false);
    case '"':
      return string(value, add(JsonType::string, token.data()), token);
    default:
      return scalar(add(JsonType::missing, token.data()), token);
  }
}

bool Walk::enter(ondemand::value &value, uint32_t self, bool object) {
  if (levels_.size() > deepest) return refuse_next("it is nested more than 512 levels deep");
  Level &level = levels_.emplace_back();
  level.self = self;
  level.object = object;
  good_ = table_.nodes[self].begin + 1;
  if (object) {
    ondemand::object members;
    if (const auto error = value.get_object().get(members)) return refuse(error);
    if (const auto error = members.begin().get(level.members)) return refuse(error);
  } else {
    ondemand::array elements;
    if (const auto error = value.get_array().get(elements)) return refuse(error);
    if (const auto error = elements.begin().get(level.elements)) return refuse(error);
  }
  return true;
}

// A container ends with the last character that is no white space before the next token; our bracket is
// always there.
bool Walk::close(uint32_t self) {
  const char *next = nullptr;
  if (const auto error = document_.current_location().get(next)) return refuse(error);
  do --next;
  while (is_space(*next));
  good_ = table_.nodes[self].end = offset(next) + 1;
  table_.nodes[self].next = static_cast<uint32_t>(table_.nodes.size());
  return true;
}

bool Walk::name(ondemand::field &field) {
  const char *begin = field.key().raw();  // behind the quote; stage 1 has seen that there is a closing one
  const char *end = begin;
  while (*end != '"' && *end != '\\') ++end;
  const uint32_t self = add(JsonType::string, begin - 1);
  Node &node = table_.nodes[self];
  node.next = self + 1;
  const bool plain = *end == '"';
  node.decoded = offset(begin);
  node.size = static_cast<uint32_t>(end - begin);
  while (*end != '"') end += *end == '\\' ? 2 : 1;
  good_ = node.end = offset(end) + 1;
  if (plain) return true;
  std::string_view text;
  if (const auto error = field.unescaped_key().get(text)) return refuse(error);
  keep_decoded(node, text);
  return true;
}

bool Walk::string(ondemand::value &value, uint32_t self, std::string_view token) {
  Node &node = table_.nodes[self];
  if (token.size() < 2 || token.back() != '"') return refuse("unexpected character", token.data());
  good_ = node.end = node.begin + static_cast<uint32_t>(token.size());
  node.next = self + 1;
  if (token.find('\\') != std::string_view::npos) {
    std::string_view text;
    if (const auto error = value.get_string().get(text)) return refuse(error);
    keep_decoded(node, text);
    return true;
  }
  // Taken although it is not needed: simdjson would step over a string that is followed by ":" as if it were
  // a name.
  ondemand::raw_json_string raw;
  if (const auto error = value.get_raw_json_string().get(raw)) return refuse(error);
  node.decoded = node.begin + 1;
  node.size = static_cast<uint32_t>(token.size() - 2);
  return true;
}

// `text` lies in the parser and goes with it.
void Walk::keep_decoded(Node &node, std::string_view text) {
  node.escaped = true;
  node.decoded = static_cast<uint32_t>(table_.decoded.size());
  node.size = static_cast<uint32_t>(text.size());
  table_.decoded += text;
}

bool Walk::scalar(uint32_t self, std::string_view token) {
  Node &node = table_.nodes[self];
  bool integer = false;
  if (token == "null") {
    node.type = JsonType::null;
  } else if (token == "true" || token == "false") {
    node.type = JsonType::boolean;
  } else if (is_number(token, integer)) {
    node.type = JsonType::number;
  } else {
    return refuse("unexpected character", token.data());
  }
  good_ = node.end = node.begin + static_cast<uint32_t>(token.size());
  node.next = self + 1;
  return true;
}

// False with the reason in `fault` when the text is no JSON.
bool read(std::string_view text, Table &table, std::string &fault) {
  static constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.substr(0, 3) == byte_order_mark) table.bom = 3;
  text.remove_prefix(table.bom);
  if (text.size() > UINT32_MAX - 1024) {
    fault = "it is larger than 4 GiB";
    return false;
  }
  const size_t size = text.size() + 2;
  table.text.reset(new char[size + simdjson::SIMDJSON_PADDING]);
  table.size = size;  // what is there to be wiped
  table.text[0] = '[';
  if (!text.empty()) std::memcpy(table.text.get() + 1, text.data(), text.size());
  table.text[table.size - 1] = ']';
  std::memset(table.text.get() + table.size, ' ', simdjson::SIMDJSON_PADDING);
  // Rarely grows beyond this: copying the table costs more than the room.
  table.nodes.reserve(std::min<size_t>(text.size() / 6, 1 << 20) + 4);
  Walk walk(table);
  if (walk.run()) return true;
  fault = walk.fault;
  return false;
}

}  // namespace

struct Json::State {
  Table table;
  const Node *find(std::string_view pointer) { return table.find(pointer); }
};

Json::Json(std::unique_ptr<State> state) : state_(std::move(state)) {}
Json::Json(Json &&) noexcept = default;
Json &Json::operator=(Json &&) noexcept = default;
Json::~Json() = default;

Json Json::parse(std::string_view text) {
  auto state = std::make_unique<State>();
  std::string fault;
  if (!read(text, state->table, fault)) throw Error(Status::protocol, "the text is not JSON: " + fault);
  return Json(std::move(state));
}

std::optional<Json> Json::try_parse(std::string_view text) {
  auto state = std::make_unique<State>();
  std::string fault;
  if (!read(text, state->table, fault)) return std::nullopt;
  return Json(std::move(state));
}

JsonType Json::type(std::string_view pointer) const {
  const Node *node = state_->find(pointer);
  return node ? node->type : JsonType::missing;
}

size_t Json::size(std::string_view pointer) const {
  const Node *node = state_->find(pointer);
  return node ? node->size : 0;
}

std::optional<std::string> Json::key(std::string_view pointer, size_t index) const {
  Table &table = state_->table;
  const Node *node = table.find(pointer);
  if (!node || node->type != JsonType::object || index >= node->size) return std::nullopt;
  const uint32_t at =
      table.child(static_cast<uint32_t>(node - table.nodes.data()), static_cast<uint32_t>(index));
  return std::string(table.string_of(table.nodes[at]));
}

std::optional<std::string> Json::string(std::string_view pointer) const {
  const Node *node = state_->find(pointer);
  if (!node || node->type != JsonType::string) return std::nullopt;
  return std::string(state_->table.string_of(*node));
}

std::optional<int64_t> Json::integer(std::string_view pointer) const {
  const Node *node = state_->find(pointer);
  if (!node) return std::nullopt;
  const bool string = node->type == JsonType::string;
  const std::string_view text = string ? state_->table.string_of(*node) : state_->table.raw_of(*node);
  if (node->type == JsonType::boolean) return text == "true" ? 1 : 0;
  bool integer = false;
  if ((!string && node->type != JsonType::number) || !is_number(text, integer) || !integer)
    return std::nullopt;
  int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string> Json::number(std::string_view pointer) const {
  const Node *node = state_->find(pointer);
  if (!node || node->type != JsonType::number) return std::nullopt;
  return std::string(state_->table.raw_of(*node));
}

std::optional<std::string> Json::raw(std::string_view pointer) const {
  const Node *node = state_->find(pointer);
  if (!node) return std::nullopt;
  return std::string(state_->table.raw_of(*node));
}

std::string pointer_step(std::string_view name) {
  std::string step = "/";
  for (const char c : name) {
    if (c == '~' || c == '/') {
      step += c == '~' ? "~0" : "~1";
    } else {
      step += c;
    }
  }
  return step;
}

}  // namespace coze::core
