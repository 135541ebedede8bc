// The JSON reader for hosts that have none.
#include "handles.h"

using namespace coze::core;

namespace {

std::string_view at(const char *pointer) { return pointer ? pointer : ""; }

// Texts live as long as the handle. `kind` keeps the look-ups of one pointer apart.
template <class Look>
const char *lend(const coze_json *json, char kind, const char *pointer, std::string_view extra, Look look) {
  if (!json) return nullptr;
  return quietly(static_cast<const char *>(nullptr), [&]() -> const char * {
    std::string name = kind + std::string(extra) + ':' + std::string(at(pointer));
    auto [entry, is_new] = json->lent.try_emplace(std::move(name));
    if (is_new) entry->second = look();
    return entry->second ? entry->second->c_str() : nullptr;
  });
}

}  // namespace

coze_json *coze_json_parse(const char *value, size_t size) {
  return guard([&] {
    if (!value) throw Error(Status::invalid_argument, "text must not be NULL");
    return new coze_json{Json::parse({value, size})};
  });
}

void coze_json_free(coze_json *json) { free_handle(json); }

coze_json_kind coze_json_type(const coze_json *json, const char *pointer) {
  if (!json) return COZE_JSON_MISSING;
  return quietly(COZE_JSON_MISSING,
                 [&] { return static_cast<coze_json_kind>(json->json.type(at(pointer))); });
}

size_t coze_json_size(const coze_json *json, const char *pointer) {
  return json ? quietly(size_t{0}, [&] { return json->json.size(at(pointer)); }) : 0;
}

const char *coze_json_key(const coze_json *json, const char *pointer, size_t index) {
  return lend(json, 'k', pointer, std::to_string(index), [&] { return json->json.key(at(pointer), index); });
}

const char *coze_json_string(const coze_json *json, const char *pointer) {
  return lend(json, 's', pointer, "", [&] { return json->json.string(at(pointer)); });
}

int64_t coze_json_int(const coze_json *json, const char *pointer, int64_t fallback) {
  return json ? quietly(fallback, [&] { return json->json.integer(at(pointer)).value_or(fallback); })
              : fallback;
}

const char *coze_json_number(const coze_json *json, const char *pointer) {
  return lend(json, 'n', pointer, "", [&] { return json->json.number(at(pointer)); });
}

const char *coze_json_raw(const coze_json *json, const char *pointer) {
  return lend(json, 'r', pointer, "", [&] { return json->json.raw(at(pointer)); });
}
