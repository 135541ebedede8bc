// Hides what looks like a credential in any text: JSON (also JSON quoted inside JSON), queries, form bodies,
// headers, PEM. One pass, linear in the text; in doubt it hides. Whoever knows a value to be secret keeps it
// out of texts to begin with.
#include "base/log.h"
#include "base/text.h"

#include <algorithm>
#include <array>

namespace coze::core {
namespace {

constexpr std::string_view mask = "***";

// Keys as they look without "_" and "-", in lower case. These match as the end of a key ("COZE_API_TOKEN") …
constexpr std::string_view secret_endings[] = {
    "token",         "secret",
    "password",      "passwd",
    "privatekey",    "privatekeypem",
    "verifier",      "assertion",
    "usercode",      "authcode",
    "authorization", "cookie",
    "apikey",        "authorizationcode",
    "jwt",           "devicecode",
};
// … and these as the whole key only: "error_code" and "status" have to stay readable.
constexpr std::string_view secret_words[] = {"code", "state", "credential", "credentials"};
// Tokens of the platform carry their kind in front.
constexpr std::string_view token_prefixes[] = {"pat_", "sat_", "czu_", "czs_", "cztei_"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_word(char c) { return is_digit(c) || is_lower(c) || is_upper(c) || c == '_' || c == '-'; }
bool is_token(char c) {
  return is_word(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '=' || c == '%';
}
bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_line_end(char c) { return c == '\n' || c == '\r'; }
bool is_space(char c) { return is_blank(c) || is_line_end(c); }
bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Redactor {
 public:
  explicit Redactor(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::string run() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  struct Char {
    char c = 0;
    size_t size = 0;
  };
  struct Word {
    size_t begin = 0, end = 0;
    std::string plain;  // escapes resolved; at most the last 160 characters
    bool escaped = false;
  };
  enum class Separator { none, colon, equals, angle };

  bool starts(size_t i, std::string_view what) const { return text_.substr(i, what.size()) == what; }
  char peek(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  void keep_until(size_t end) {
    out_ += text_.substr(at_, end - at_);
    at_ = end;
  }
  void hide_until(size_t end) {
    out_ += mask;
    at_ = end;
  }
  template <class Matches>
  size_t run_end(size_t i, Matches matches) const {
    while (i < text_.size() && matches(text_[i])) ++i;
    return i;
  }

  Char char_at(size_t i) const;
  void step();
  void pem_block();
  void user_info();
  void word();
  Word read_word() const;
  bool secret_value(const Word &word);
  bool secret_word(const Word &word);
  bool scheme(const Word &word);
  bool random_run();
  Separator separator(size_t &i) const;
  void hide_value(size_t begin, Separator separator, const std::string &key);
  size_t quoted_end(size_t open, size_t slashes) const;
  size_t bare_end(size_t begin, Separator separator) const;

  std::string_view text_;
  std::string out_;
  size_t at_ = 0;
  size_t measured_ = 0;  // random_run() has looked up to here: keeps the whole linear
};

// One character as it was meant: %5F and \u005f are "_".
Redactor::Char Redactor::char_at(size_t i) const {
  size_t digits = 0, skip = 0;
  if (text_[i] == '%') {
    digits = 2, skip = 1;
  } else if (text_[i] == '\\' && (peek(i + 1) == 'u')) {
    digits = 4, skip = 2;
  } else {
    return {text_[i], 1};
  }
  int value = 0;
  for (size_t k = 0; k < digits; ++k) {
    const int digit = hex_value(peek(i + skip + k));
    if (digit < 0) return {text_[i], 1};
    value = value << 4 | digit;
  }
  return {value < 0x80 ? static_cast<char>(value) : '\x7F', skip + digits};
}

void Redactor::step() {
  const char c = text_[at_];
  if (c == '-' && starts(at_, "-----BEGIN")) return pem_block();
  if (c == ':' && starts(at_, "://")) return user_info();
  // "\n" in front of a word is a line break, not a letter of it.
  if (c == '\\' && peek(at_ + 1) != 'u') return keep_until(std::min(at_ + 2, text_.size()));
  if (is_word(char_at(at_).c)) return word();
  keep_until(at_ + char_at(at_).size);
}

// Certificates and public keys are no secret and useful in a log; everything else in PEM is hidden, to the
// end of the text when its own end is missing.
void Redactor::pem_block() {
  const size_t label = at_ + std::string_view("-----BEGIN").size();
  const size_t label_end = text_.find("-----", label);
  const bool labelled = label_end != std::string_view::npos && label_end - label <= 64;
  const std::string_view name = labelled ? text_.substr(label, label_end - label) : std::string_view();
  if (name.find("CERTIFICATE") != std::string_view::npos || name.find("PUBLIC") != std::string_view::npos) {
    const size_t end = text_.find("-----END", label_end);
    // Also not taken for a random run.
    if (end != std::string_view::npos &&
        text_.substr(label_end, end - label_end).find("BEGIN") == std::string_view::npos) {
      return keep_until(end + 8);
    }
  }
  if (labelled) keep_until(label_end + 5);
  const size_t end = text_.find("-----END", at_ + (labelled ? 0 : 10));
  hide_until(end == std::string_view::npos ? text_.size() : end);
  if (end != std::string_view::npos) keep_until(end + 8);
}

// "://user:password@host"
void Redactor::user_info() {
  keep_until(at_ + 3);
  const size_t end = run_end(at_, [](char c) {
    return !is_space(c) && !is_quote(c) && c != '/' && c != '?' && c != '#' && c != '<';
  });
  const size_t sign = text_.substr(at_, end - at_).rfind('@');
  if (sign != std::string_view::npos) hide_until(at_ + sign);
}

Redactor::Word Redactor::read_word() const {
  static constexpr size_t longest = 160;  // no key is longer
  Word word{at_, at_, {}, false};
  while (word.end < text_.size()) {
    const Char c = char_at(word.end);
    if (!is_word(c.c) || (c.c == '-' && starts(word.end, "-----BEGIN"))) break;
    if (word.plain.size() >= 2 * longest) word.plain.erase(0, longest);
    word.plain += c.c;
    word.escaped = word.escaped || c.size > 1;
    word.end += c.size;
  }
  return word;
}

void Redactor::word() {
  const Word word = read_word();
  if (random_run() || secret_value(word) || scheme(word) || secret_word(word)) return;
  keep_until(word.end);
}

// Base64 of any flavour, hex apart: 40 characters and more with capitals, small letters and digits. What has
// slashes as often as a path does is taken for a path.
bool Redactor::random_run() {
  if (at_ < measured_) return false;
  const size_t end = run_end(at_, [](char c) { return is_word(c) || c == '+' || c == '/'; });
  measured_ = end;
  const std::string_view run = text_.substr(at_, end - at_);
  if (run.size() < 32) return false;
  const auto slashes = static_cast<size_t>(std::count(run.begin(), run.end(), '/'));
  const bool mixed = std::any_of(run.begin(), run.end(), is_digit) &&
                     std::any_of(run.begin(), run.end(), is_lower) &&
                     std::any_of(run.begin(), run.end(), is_upper);
  const bool random = run.size() >= 40 && mixed && run.size() / (slashes + 1) >= 20;
  const bool key = run.substr(0, 3) == "MII";  // how the base64 of every private key begins
  if (!random && !key) return false;
  hide_until(run_end(end, is_token));
  return true;
}

// A token that can be told by its look alone, wherever in the word it starts.
bool Redactor::secret_value(const Word &word) {
  if (word.escaped) {
    const auto within = [&](std::string_view p) { return word.plain.find(p) != std::string::npos; };
    if (!within("eyJ") && std::none_of(std::begin(token_prefixes), std::end(token_prefixes), within))
      return false;
    hide_until(run_end(word.end, is_token));
    return true;
  }
  const std::string_view raw = text_.substr(word.begin, word.end - word.begin);
  size_t found = std::string_view::npos;
  for (const std::string_view prefix : token_prefixes) {
    const size_t where = raw.find(prefix);
    if (where != std::string_view::npos && is_token(peek(word.begin + where + prefix.size())))
      found = std::min(found, where);
  }
  const size_t jwt = raw.find("eyJ");  // base64 of {"
  size_t shown = 4;
  if (jwt < found && run_end(word.begin + jwt, is_token) - (word.begin + jwt) >= 12) found = jwt, shown = 3;
  const bool refresh = raw.size() > 3 && (raw.substr(0, 3) == "rt-" || raw.substr(0, 3) == "rt_");
  if (refresh) found = 0, shown = 3;
  if (found == std::string_view::npos) return false;
  keep_until(word.begin + found + shown);
  hide_until(run_end(at_, is_token));
  return true;
}

// "Bearer abc", "Basic dXNlcjpwdw==".
bool Redactor::scheme(const Word &word) {
  const bool bearer = equals_ignoring_case(word.plain, "bearer");
  if (!bearer && !equals_ignoring_case(word.plain, "basic")) return false;
  size_t value = word.end;
  while (value < text_.size() && (is_blank(text_[value]) || text_[value] == '+' || starts(value, "%20"))) {
    value += text_[value] == '%' ? 3 : 1;
  }
  if (value == word.end) return false;
  const size_t end =
      run_end(value, [](char c) { return !is_space(c) && !is_quote(c) && c != ',' && c != '\\'; });
  const std::string_view text = text_.substr(value, end - value);
  // "a Bearer token": prose, and no secret in it.
  static constexpr std::string_view prose[] = {"token", "tokens", "auth", "authentication", "authorization"};
  const auto same = [&](std::string_view w) { return equals_ignoring_case(w, text); };
  if (text.empty() || std::any_of(std::begin(prose), std::end(prose), same)) return false;
  keep_until(value);
  hide_until(end);
  return true;
}

// A key that says so, with its value behind it.
bool Redactor::secret_word(const Word &word) {
  std::string key;
  for (const char c : word.plain) {
    if (c != '_' && c != '-') key += is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const auto ends = [&](std::string_view w) {
    return key.size() >= w.size() && key.compare(key.size() - w.size(), w.size(), w) == 0;
  };
  const auto is = [&](std::string_view w) { return key == w; };
  const bool secret = std::any_of(std::begin(secret_endings), std::end(secret_endings), ends) ||
                      std::any_of(std::begin(secret_words), std::end(secret_words), is);
  if (!secret) return false;
  size_t value = word.end;
  const Separator found = separator(value);
  if (found == Separator::none) return false;
  keep_until(value);
  hide_value(value, found, key);
  return true;
}

// From the end of a key over closing quotes and brackets to the begin of its value: `": `, `=`, `%3D`, `\":`,
// ` => `, `>`.
Redactor::Separator Redactor::separator(size_t &i) const {
  const auto closes = [&](size_t k) {
    return text_[k] == '\\' ? peek(k + 1) == '\\' || is_quote(peek(k + 1))
                            : is_quote(text_[k]) || text_[k] == ']';
  };
  if (peek(i) == '>') return ++i, Separator::angle;
  for (;;) {
    while (i < text_.size() && (closes(i) || is_space(text_[i]))) ++i;
    const Char c = i < text_.size() ? char_at(i) : Char{};
    if (c.size > 1 && (c.c == '"' || c.c == ']' || c.c == ' ' || c.c == '[')) {
      i += c.size;  // %22, %5D
      continue;
    }
    if (c.c == '[' && c.size == 1 && peek(i + 1) == ']') {
      i += 2;  // token[]=
      continue;
    }
    if (c.c != ':' && c.c != '=') return Separator::none;
    i += c.size;
    if (peek(i) == '=' || peek(i) == '>') ++i;  // ":=", "=>"
    i = run_end(i, is_blank);
    const size_t next = run_end(i, is_space);
    if (next > i && is_quote(peek(next))) i = next;  // a value on a line of its own
    return c.c == ':' ? Separator::colon : Separator::equals;
  }
}

void Redactor::hide_value(size_t begin, Separator separator, const std::string &key) {
  const size_t open = run_end(begin, [](char c) { return c == '\\'; });
  if (is_quote(peek(open))) {
    const size_t end = quoted_end(open, open - begin);
    if (end == open + 1) return;  // empty: nothing to hide, and worth knowing
    keep_until(open + 1);
    return hide_until(end);
  }
  const char first = peek(begin);
  if (first == '{') return;  // members are looked at one by one
  if (first == '[') {
    keep_until(begin + 1);
    return hide_until(std::min(text_.find(']', begin), text_.size()));
  }
  const bool header =
      key == "authorization" || key == "proxyauthorization" || key == "cookie" || key == "setcookie";
  size_t end = header ? run_end(begin, [](char c) { return !is_line_end(c) && !is_quote(c); })
                      : bare_end(begin, separator);
  const std::string_view value = text_.substr(begin, end - begin);
  if (value.empty() || value == "null" || value == "true" || value == "false") return;
  // The number of an envelope is no authorization code.
  if (key == "code" && separator == Separator::colon && value.size() <= 9 &&
      std::all_of(value.begin(), value.end(), is_digit)) {
    return;
  }
  if (header && value.find(' ') != std::string_view::npos) {
    const std::string_view scheme = value.substr(0, value.find(' '));
    if (equals_ignoring_case(scheme, "Bearer") || equals_ignoring_case(scheme, "Basic")) {
      keep_until(begin + scheme.size() + 1);
    }
  }
  hide_until(end);
}

// `open` is a quote behind `slashes` backslashes: 0 in JSON, 1 in JSON quoted inside JSON, then 3, 7 … The
// quote that closes has as many behind an even number of quoted backslashes.
size_t Redactor::quoted_end(size_t open, size_t slashes) const {
  const char quote = text_[open];
  const size_t period = 2 * (slashes + 1);
  size_t run = 0;
  for (size_t i = open + 1; i < text_.size(); ++i) {
    if (text_[i] == '\\') {
      ++run;
      continue;
    }
    if (text_[i] == quote && run % period == slashes) return i - slashes;
    run = 0;
  }
  return text_.size();
}

size_t Redactor::bare_end(size_t begin, Separator separator) const {
  switch (separator) {
    case Separator::angle:
      return std::min(text_.find('<', begin), text_.size());
    case Separator::equals:
      return run_end(begin, [](char c) {
        return !is_space(c) && !is_quote(c) && c != '&' && c != ';' && c != '<' && c != '>';
      });
    default:
      return run_end(begin, [](char c) {
        return !is_space(c) && !is_quote(c) && c != ',' && c != '}' && c != ']' && c != '&' && c != '<';
      });
  }
}

}  // namespace

std::string redact(std::string_view text) { return Redactor(text).run(); }

}  // namespace coze::core
