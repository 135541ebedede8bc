// A token: immutable, counted, wiped when its last holder goes. And the cell in which a credential keeps the
// current one. Says nothing about how a token is obtained.
#pragma once

#include "base/secret.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace coze::core {

struct TokenFields {
  Secret access;
  Secret refresh;          // empty = none
  int64_t expires_at = 0;  // Unix seconds, server time; 0 = does not expire
  std::string log_id;      // of the answer that brought it
};

class TokenRef;
class TokenCell;

// Throws Error(invalid_argument) unless text can be what follows "Bearer " in a header: printable ASCII
// without spaces. The message names `what` and the fault ("has a line break at its end"), and never shows the
// text.
void check_credential_text(std::string_view text, std::string_view what);

// Holders count on one of several counters, by thread, so that threads on different cores do not fight for a
// cache line.
class Token {
 public:
  static TokenRef make(TokenFields fields);
  // {"access_token", "refresh_token", "expires_in" (absolute, as Coze sends it), "token_type"}: what a token
  // answer holds. Throws Error(invalid_argument) that names the key.
  static TokenRef from_json(std::string_view text);

  std::string_view access() const { return fields_.access.reveal(); }
  const char *access_c_str() const { return fields_.access.c_str(); }
  const TokenFields &fields() const { return fields_; }
  const char *json() const;  // made at the first call; thread-safe; lives as long as the token

  void retain() const;
  void release() const;

 private:
  friend class TokenCell;
  struct Slots;  // shared by a cell and its tokens; a slot is free again when its token is gone
  struct alignas(64) Releases {  // one cache line for the threads that share it
    std::atomic<int64_t> count{0};
  };

  explicit Token(TokenFields fields);
  ~Token();
  void enliven(std::unique_ptr<Releases[]> releases, uint32_t mask, std::shared_ptr<Slots> slots,
               uint32_t slot);
  void settle(int64_t given) const;

  TokenFields fields_;
  mutable std::once_flag json_once_;
  mutable Secret json_;

  // A token in a cell is live: handles are counted by the cell as it gives them out, releases here, by
  // thread; the sum is made when the cell lets go of it (settle). From then on, and for a token that never
  // was in a cell, holders_ is the number of holders.
  mutable std::unique_ptr<Releases[]> releases_;
  uint32_t releases_mask_ = 0;
  std::shared_ptr<Slots> slots_;
  uint32_t slot_ = 0;
  // Until when, and at which distance of the wall clock from the monotonic one, the cell gives it out
  // unasked.
  mutable std::atomic<int64_t> until_mono_ms_{0}, wall_ahead_ms_{0};
  mutable std::atomic<int64_t> holders_;  // not touched while the token is live
};

class TokenRef {
 public:
  TokenRef() = default;
  static TokenRef adopt(const Token *token) {
    TokenRef ref;
    ref.token_ = token;
    return ref;
  }
  TokenRef(const TokenRef &other) : token_(other.token_) {
    if (token_) token_->retain();
  }
  TokenRef(TokenRef &&other) noexcept : token_(std::exchange(other.token_, nullptr)) {}
  TokenRef &operator=(TokenRef other) noexcept {
    std::swap(token_, other.token_);
    return *this;
  }
  ~TokenRef() {
    if (token_) token_->release();
  }
  explicit operator bool() const { return token_ != nullptr; }
  const Token *operator->() const { return token_; }
  const Token &operator*() const { return *token_; }
  const Token *get() const { return token_; }
  const Token *detach() { return std::exchange(token_, nullptr); }  // the caller owes one release()

 private:
  const Token *token_ = nullptr;
};

}  // namespace coze::core
