// Takes the bytes apart with as little as will do: what a lenient parser forgives would go unseen.
#include "arrival.h"

#include <algorithm>
#include <sstream>

namespace coze::test {
namespace {

int digit(char c) {
  const size_t at = std::string_view("0123456789ABCDEF").find(c);  // RFC 3986 section 2.1: capitals
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// A broken escape stays as it is, and is then seen as a difference.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];  // as servers read a query
    }
  }
  return out;
}

// The value of name="…" in a header of a part; "(none)" without it.
std::string parameter(std::string_view header, std::string_view name) {
  const std::string start = "; " + std::string(name) + "=\"";
  const size_t at = header.find(start);
  if (at == std::string_view::npos) return "(none)";
  header.remove_prefix(at + start.size());
  return std::string(header.substr(0, header.find('"')));
}

FormPart read_part(std::string_view bytes) {
  FormPart part{"(none)", "(none)", "(none)", "(no head)"};
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return part;
  part.bytes = bytes.substr(end + 4);
  std::istringstream head(std::string(bytes.substr(0, end)));
  for (std::string line; std::getline(head, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.rfind("Content-Disposition: form-data", 0) == 0) {
      part.name = parameter(line, "name");
      part.file_name = parameter(line, "filename");
    }
    if (line.rfind("Content-Type: ", 0) == 0) part.type = line.substr(14);
  }
  return part;
}

std::string escaped_key(std::string_view key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

std::string unlike(const std::string &what, std::string_view expected, std::string_view actual) {
  return what + ": expected " + std::string(expected) + ", arrived " + std::string(actual);
}

std::string shown(const Pairs &pairs) {
  std::string out;
  for (const auto &[name, value] : pairs) out += (out.empty() ? "" : " ") + name + "=" + json_text(value);
  return "[" + out + "]";
}

bool fits(std::string_view expected, std::string_view actual) {
  return expected == "*" ? !actual.empty() && actual != "(none)" : expected == actual;
}

std::string query_difference(const Json &arrives, std::string_view query) {
  Pairs expected, actual = query_pairs(query);
  for (size_t i = 0; i < arrives.size("/query"); ++i) {
    const std::string at = "/query/" + std::to_string(i);
    expected.emplace_back(member(arrives, at + "/0"), member(arrives, at + "/1"));
  }
  const auto by_name = [](const auto &a, const auto &b) { return a.first < b.first; };
  std::stable_sort(expected.begin(), expected.end(), by_name);
  std::stable_sort(actual.begin(), actual.end(), by_name);
  const bool same =
      std::equal(expected.begin(), expected.end(), actual.begin(), actual.end(),
                 [](const auto &a, const auto &b) { return a.first == b.first && fits(a.second, b.second); });
  if (!same) return unlike("query", shown(expected), shown(actual));
  for (size_t i = 0; i < arrives.size("/query_text"); ++i) {
    const std::string text = member(arrives, "/query_text/" + std::to_string(i));
    if (("&" + std::string(query) + "&").find("&" + text + "&") == std::string::npos)
      return unlike("query", text, query);
  }
  return "";
}

std::string header_difference(const Json &arrives, const Arrived &request) {
  for (size_t i = 0; i < arrives.size("/headers"); ++i) {
    const std::string name(*arrives.key("/headers", i));
    const std::string value = request.header(name);
    const std::string expected = member(arrives, "/headers/" + escaped_key(name));
    if (!fits(expected, value)) return unlike("header " + name, expected, value);
  }
  // It changes the answer, so it comes only where it is due.
  const std::string conv = request.header("Agw-Js-Conv");
  if (conv != "(none)" && arrives.type("/headers/Agw-Js-Conv") == COZE_JSON_MISSING)
    return unlike("header Agw-Js-Conv", "none", conv);
  return "";
}

std::string form_difference(const Json &arrives, const Arrived &request) {
  if (request.header("Content-Type").rfind("multipart/form-data; boundary=", 0) != 0)
    return unlike("header Content-Type", "multipart/form-data; boundary=…", request.header("Content-Type"));
  const auto parts = form_parts(request);
  std::string names;
  for (const FormPart &part : parts) names += " " + part.name;
  if (parts.size() != arrives.size("/parts"))
    return unlike("parts", std::to_string(arrives.size("/parts")),
                  std::to_string(parts.size()) + ":" + names);
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string at = "/parts/" + std::to_string(i), name = member(arrives, at + "/name");
    const auto part =
        std::find_if(parts.begin(), parts.end(), [&](const auto &one) { return one.name == name; });
    if (part == parts.end()) return unlike("parts", name, names);
    const std::pair<const char *, const std::string &> fields[] = {
        {"/file_name", part->file_name}, {"/type", part->type}, {"/text", part->bytes}};
    for (const auto &[field, value] : fields)
      if (member(arrives, at + field) != value)
        return unlike("part " + name + field, json_text(member(arrives, at + field)), json_text(value));
  }
  return "";
}

std::string body_difference(const Json &arrives, const Arrived &request) {
  if (arrives.size("/parts") > 0) return form_difference(arrives, request);
  if (arrives.type("/body") == COZE_JSON_MISSING) {
    if (!request.body.empty()) return unlike("body", "none", request.body);
    if (request.header("Content-Type") != "(none)")
      return unlike("header Content-Type", "none", request.header("Content-Type"));
    return "";
  }
  if (request.body.empty()) return unlike("body", *arrives.raw("/body"), "none");
  const std::string differs = difference(Json::parse(*arrives.raw("/body")), request.json());
  return differs.empty() ? "" : "body" + differs;
}

}  // namespace

std::string target_of(const Arrived &request) {
  const size_t start = request.head.find(' ') + 1;
  return request.head.substr(start, request.head.find(' ', start) - start);
}

Pairs query_pairs(std::string_view query) {
  Pairs out;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    const size_t equals = std::min(pair.find('='), pair.size());
    out.emplace_back(unescaped(pair.substr(0, equals)),
                     equals == pair.size() ? "(no value)" : unescaped(pair.substr(equals + 1)));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return out;
}

std::vector<FormPart> form_parts(const Arrived &request) {
  std::vector<FormPart> parts;
  const std::string type = request.header("Content-Type"), mark = "boundary=";
  const std::string boundary =
      "\r\n--" + type.substr(std::min(type.find(mark), type.size() - mark.size()) + mark.size());
  const std::string body = "\r\n" + request.body;
  for (size_t at = 0; (at = body.find(boundary + "\r\n", at)) != std::string::npos;) {
    at += boundary.size() + 2;
    const size_t end = body.find(boundary, at);
    if (end == std::string::npos) break;
    parts.push_back(read_part(std::string_view(body).substr(at, end - at)));
    at = end;
  }
  return parts;
}

std::string difference(const Json &expected, const Json &actual, const std::string &at) {
  const coze_json_kind kind = expected.type(at);
  const auto differs = [&] {
    return unlike(" at \"" + at + "\"", *expected.raw(at), actual.raw(at).value_or("nothing"));
  };
  if (kind == COZE_JSON_STRING && expected.string(at) == "*")
    return actual.string(at).value_or("").empty() ? differs() : "";
  if (actual.type(at) != kind) return differs();
  if (kind == COZE_JSON_STRING) return expected.string(at) == actual.string(at) ? "" : differs();
  if (kind == COZE_JSON_NUMBER) return expected.number(at) == actual.number(at) ? "" : differs();
  if (kind != COZE_JSON_OBJECT && kind != COZE_JSON_ARRAY)
    return expected.raw(at) == actual.raw(at) ? "" : differs();
  if (expected.size(at) != actual.size(at)) return differs();
  for (size_t i = 0; i < expected.size(at); ++i) {
    const std::string name = kind == COZE_JSON_ARRAY ? std::to_string(i) : escaped_key(*expected.key(at, i));
    std::string inner = difference(expected, actual, at + "/" + name);
    if (!inner.empty()) return inner;
  }
  return "";
}

std::string difference(const Json &arrives, const Arrived &request) {
  const std::string method = member(arrives, "/method"), path = member(arrives, "/path");
  if (request.method != method) return unlike("method", method, request.method);
  const std::string target = target_of(request);
  const size_t question = std::min(target.find('?'), target.size());
  if (target.substr(0, question) != path) return unlike("path", path, target.substr(0, question));
  std::string differs =
      query_difference(arrives, std::string_view(target).substr(std::min(question + 1, target.size())));
  if (differs.empty()) differs = header_difference(arrives, request);
  if (differs.empty()) differs = body_difference(arrives, request);
  return differs;
}

}  // namespace coze::test
