// A token: immutable, counted, wiped when its last holder goes. And the cell in which a credential keeps the current one.
// Says nothing about how a token is obtained.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/secret.h"

namespace coze::core {

struct TokenFields {
  Secret access;
  Secret refresh;          // empty = none
  int64_t expires_at = 0;  // Unix seconds, server time; 0 = does not expire
  std::string log_id;      // of the answer that brought it
};

class TokenRef;

// Holders count on one of several counters, by thread, so that threads on different cores do not fight for a cache line.
class Token {
 public:
  static TokenRef make(TokenFields fields);
  // {"access_token", "refresh_token", "expires_in" (absolute, as Coze sends it), "token_type"}: what a token answer holds.
  // Throws Error(invalid_argument) that names the key.
  static TokenRef from_json(std::string_view text);

  std::string_view access() const { return fields_.access.reveal(); }
  const char *access_c_str() const { return fields_.access.c_str(); }
  const TokenFields &fields() const { return fields_; }
  const char *json() const;  // made at the first call; thread-safe; lives as long as the token

  void retain() const;
  void release() const;

 private:
  friend class TokenCell;
  explicit Token(TokenFields fields);
  ~Token();
  TokenFields fields_;
  // implementation detail
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
