// Counting the holders of a token, and its JSON form.
// Where a live token is given out is the cell's part; who obtains tokens is the credential's.
#include "auth/token.h"

#include "auth/thread_stripe.h"
#include "auth/token_slots.h"
#include "base/error.h"
#include "base/text.h"
#include "json/reader.h"
#include "json/writer.h"

#include <limits>

namespace coze::core {
namespace {

// While a token is live its holders are uncounted, and holders_ must not reach 0 from the few that are.
constexpr int64_t live_bias = int64_t{1} << 60;
// What a release counter is set to when the sum is made: below this half of the range = made.
constexpr int64_t settled = -(int64_t{1} << 62);
constexpr int64_t settled_below = settled / 2;

[[noreturn]] void refuse(std::string_view what, const std::string &fault) {
  throw Error(Status::invalid_argument, std::string(what) + " " + fault);
}

const char *name_of(char c) {
  if (c == '\n' || c == '\r') return "a line break";
  if (c == ' ') return "a space";
  if (c == '\t') return "a tab";
  if (static_cast<unsigned char>(c) >= 0x80) return "a character that is not ASCII";
  return "a control character";
}

std::string text_member(const Json &json, const char *pointer, bool required) {
  const JsonType type = json.type(pointer);
  const std::string name = pointer + 1;
  if (type == JsonType::missing || type == JsonType::null) {
    if (required) refuse("the token JSON", "has no \"" + name + "\": give the whole token answer");
    return "";
  }
  if (type != JsonType::string) refuse("the token JSON", "has a \"" + name + "\" that is not a string");
  std::string value = *json.string(pointer);
  if (!value.empty() || required) check_credential_text(value, "\"" + name + "\" in the token JSON");
  return value;
}

int64_t expiry_member(const Json &json) {
  const JsonType type = json.type("/expires_in");
  if (type == JsonType::missing || type == JsonType::null) return 0;
  const auto value = type == JsonType::boolean ? std::nullopt : json.integer("/expires_in");
  if (!value || *value < 0)
    refuse("the token JSON", "has an \"expires_in\" that is not a Unix time in seconds");
  // A lifetime of 30 years or a time in 2001: the former is what RFC 6749 would mean by the name.
  if (*value != 0 && *value < 1'000'000'000) {
    refuse("the token JSON",
           "has \"expires_in\" " + std::to_string(*value) +
               ", which looks like a duration: Coze means the Unix time in seconds at which the "
               "token expires");
  }
  if (*value > 253'402'300'799) {  // the year 9999
    refuse("the token JSON", "has an \"expires_in\" beyond the year 9999: give seconds, not milliseconds");
  }
  return *value;
}

}  // namespace

uint32_t assign_thread_stripe() {
  static constinit std::atomic<uint32_t> next{0};
  const uint32_t stripe = next.fetch_add(1, std::memory_order_relaxed) + 1;
  return stripe ? stripe : 1;  // 0 means "none yet"
}

void check_credential_text(std::string_view text, std::string_view what) {
  if (text.empty()) refuse(what, "is empty");
  const auto plain = [](char c) { return c > 0x20 && c < 0x7F; };
  if (!plain(text.back()))
    refuse(what, std::string("has ") + name_of(text.back()) + " at its end: remove it");
  if (!plain(text.front()))
    refuse(what, std::string("has ") + name_of(text.front()) + " at its start: remove it");
  if (equals_ignoring_case(text.substr(0, 7), "Bearer ")) {
    refuse(what, "begins with the word Bearer: give what follows it alone");
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (!plain(text[i])) {
      refuse(what, std::string("has ") + name_of(text[i]) + " at position " + std::to_string(i + 1) +
                       ": give it exactly as the platform shows it");
    }
  }
}

Token::Token(TokenFields fields) : fields_(std::move(fields)), holders_(1) {}

Token::~Token() {
  // Release: the slot's next user must come after everything that this token's readers did.
  if (slots_) slots_->at[slot_].store(nullptr, std::memory_order_release);
}

TokenRef Token::make(TokenFields fields) { return TokenRef::adopt(new Token(std::move(fields))); }

TokenRef Token::from_json(std::string_view text) {
  const auto json = Json::try_parse(text);
  if (!json || json->type() != JsonType::object) {
    refuse("the token JSON", "is not a JSON object: give what coze_token_to_json or a token answer holds");
  }
  TokenFields fields;
  std::string access = text_member(*json, "/access_token", true);
  std::string refresh = text_member(*json, "/refresh_token", false);
  fields.access = Secret(access);
  fields.refresh = Secret(refresh);
  wipe(access);
  wipe(refresh);
  fields.expires_at = expiry_member(*json);
  return make(std::move(fields));
}

const char *Token::json() const {
  std::call_once(json_once_, [this] {
    JsonWriter out;
    out.begin_object().member("access_token", fields_.access.reveal());
    if (!fields_.refresh.empty()) out.member("refresh_token", fields_.refresh.reveal());
    if (fields_.expires_at != 0) out.member("expires_in", fields_.expires_at);
    out.member("token_type", "Bearer").end_object();
    json_ = Secret(out.text());
  });
  return json_.c_str();
}

void Token::retain() const {
  if (releases_) {
    // A handle made from a handle is a release that did not happen; a negative count is fine.
    const int64_t before =
        releases_[thread_stripe() & releases_mask_].count.fetch_add(1, std::memory_order_relaxed);
    if (before > settled_below) return;
  }
  holders_.fetch_add(1, std::memory_order_relaxed);  // the caller holds one, so this cannot start from 0
}

void Token::release() const {
  if (releases_) {
    // Release: what this holder did with the token comes before its end.
    const int64_t before =
        releases_[thread_stripe() & releases_mask_].count.fetch_sub(1, std::memory_order_acq_rel);
    if (before > settled_below) return;
  }
  if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// Before anybody else sees it. The maker's handle becomes a counted one.
void Token::enliven(std::unique_ptr<Releases[]> releases, uint32_t mask, std::shared_ptr<Slots> slots,
                    uint32_t slot) {
  releases_ = std::move(releases);
  releases_mask_ = mask;
  releases_[0].count.store(1, std::memory_order_relaxed);
  slots_ = std::move(slots);
  slot_ = slot;
  holders_.store(live_bias, std::memory_order_relaxed);
}

// Ends the live state: from the sums of handles given out and released the number of holders becomes exact.
// Releases that come while the counters are being read find them settled and go to holders_, which the bias
// keeps above 0.
void Token::settle(int64_t given) const {
  int64_t held = given;
  for (uint32_t i = 0; i <= releases_mask_; ++i) {
    held += releases_[i].count.exchange(settled, std::memory_order_acq_rel);
  }
  const int64_t correction = held - live_bias;
  if (holders_.fetch_add(correction, std::memory_order_acq_rel) + correction == 0) delete this;
}

}  // namespace coze::core
