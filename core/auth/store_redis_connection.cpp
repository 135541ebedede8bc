// Redis connections: socket, TLS, AUTH and SELECT; commands written and replies read by hiredis, which gets
// no socket: it would raise SIGPIPE, wait without an end and hand a socket on to children.
#include "auth/store_redis_connection.h"

#include "auth/store_redis_socket.h"
#include "base/clock.h"
#include "base/fork.h"
#include "base/log.h"
#include "base/text.h"

#include <algorithm>
#include <hiredis/hiredis.h>
#include <new>
#include <utility>

namespace coze::core {
namespace {

// A connection that was idle for longer may have been forgotten by what stands between, which answers
// nothing.
constexpr int64_t longest_idle_ms = 30'000;

int64_t now_ms() { return Clock::system().boot_ms(); }

struct Advice {
  const char *code, *text;
};
constexpr Advice advices[] = {
    {"READONLY", "is a replica, which takes no writes: give the address of the primary"},
    {"OOM", "has no memory left for writes: raise its maxmemory"},
    {"MISCONF", "cannot save to its disk and takes no writes until that is mended: see its log"},
    {"LOADING", "is still loading its data: try again in a moment"},
    {"BUSY", "is busy with a script of somebody else: try again in a moment"},
    {"MASTERDOWN", "is a replica that has lost its primary: give the address of the primary"},
    {"NOREPLICAS", "takes no writes while too few replicas follow it"},
    {"CLUSTERDOWN", "belongs to a cluster that is down"},
    {"MOVED",
     "is a node of a cluster, and the key is on another one: give the address of a proxy, or of a "
     "server that holds all keys"},
    {"ASK", "is a node of a cluster that hands the key to another one: try again in a moment"},
    {"NOAUTH", "wants a password: write redis://:password@host, or redis://user:password@host"},
    {"WRONGPASS", "refused the user name or the password"},
    {"NOPERM",
     "does not allow this user what the store needs: eval, get, set, del, strlen, pexpire, rename and "
     "select on the keys of its prefix"},
    {"WRONGTYPE", "holds something under the key that is no text"},
};

// Scripts of older servers say the code in the middle of a sentence.
bool holds_word(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == '-';
    if (begins && (end == text.size() || text[end] == ' ')) return true;
  }
  return false;
}

std::string first_word(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(' '));
  const bool code = !word.empty() && word.size() <= 20 &&
                    std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  return code ? std::string(word) : "ERR";
}

[[noreturn]] void refuse(const RedisAddress &address, std::string_view text) {
  const std::string who = "The server " + address.text() + " ";
  for (const Advice &advice : advices) {
    if (holds_word(text, advice.code))
      throw RedisRefusal(advice.code, who + advice.text + " (" + advice.code + ")");
  }
  // An unknown command is answered with its arguments, which may be secrets.
  text = text.substr(0, text.find(", with args"));
  throw RedisRefusal(first_word(text), who + "answered: " + redact(quotable(text)));
}

struct FreeReader {
  void operator()(redisReader *reader) const {
    // What it grew out of on the way is out of reach: an answer that comes in one piece leaves nothing
    // behind.
    if (reader->buf) wipe(reader->buf, sdsalloc(reader->buf));
    redisReaderFree(reader);
  }
};

struct FreeReply {
  void operator()(redisReply *reply) const {
    if (reply->str) wipe(reply->str, reply->len);
    freeReplyObject(reply);
  }
};

// Bytes on their way from the socket to the reader.
struct Chunk {
  char bytes[16 * 1024];
  ~Chunk() { wipe(bytes, sizeof bytes); }
};

// One reply, fed as it comes.
class ReplyReader {
 public:
  ReplyReader(const RedisAddress &address, size_t most_bytes)
      : address_(address), most_bytes_(most_bytes), reader_(redisReaderCreate()) {
    if (!reader_) throw std::bad_alloc();
  }

  // True when the reply is complete.
  bool feed(std::string_view bytes) {
    // None of our commands is answered with a list; a reader that met one would make room for any length.
    const bool known = fed_ != 0 || std::string_view("+-:$").find(bytes.front()) != std::string_view::npos;
    if (!known) not_redis();
    fed_ += bytes.size();
    if (fed_ > most_bytes_) {
      throw Error(Status::io, "The server " + address_.text() + " holds more than " +
                                  std::to_string(most_bytes_) + " bytes under the key: that is no login");
    }
    if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) throw std::bad_alloc();
    void *object = nullptr;
    if (redisReaderGetReply(reader_.get(), &object) != REDIS_OK) not_redis();
    reply_.reset(static_cast<redisReply *>(object));
    return reply_ != nullptr;
  }

  // Bytes behind the reply belong to nothing that was asked.
  bool has_more() const { return reader_->pos != reader_->len; }

  RedisReply take() const {
    RedisReply reply;
    if (reply_->type == REDIS_REPLY_ERROR) refuse(address_, {reply_->str, reply_->len});
    if (reply_->type == REDIS_REPLY_INTEGER) {
      reply.kind = RedisReply::Kind::number;
      reply.number = reply_->integer;
    } else if (reply_->type == REDIS_REPLY_STRING || reply_->type == REDIS_REPLY_STATUS) {
      reply.kind = RedisReply::Kind::text;
      reply.text = Secret({reply_->str, reply_->len});
    }
    return reply;
  }

 private:
  [[noreturn]] void not_redis() const {
    throw Error(Status::io, "The server " + address_.text() +
                                " does not speak the protocol of Redis: check host and port" +
                                (address_.tls ? "" : ", and whether it wants TLS (rediss://)"));
  }

  const RedisAddress &address_;
  const size_t most_bytes_;
  size_t fed_ = 0;
  std::unique_ptr<redisReader, FreeReader> reader_;
  std::unique_ptr<redisReply, FreeReply> reply_;
};

// A command as it goes over the wire, wiped when it goes.
class WireCommand {
 public:
  explicit WireCommand(const std::vector<std::string_view> &words) {
    std::vector<const char *> data;
    std::vector<size_t> sizes;
    for (const std::string_view word : words) {
      data.push_back(word.data());
      sizes.push_back(word.size());
    }
    const auto size =
        redisFormatCommandArgv(&text_, static_cast<int>(words.size()), data.data(), sizes.data());
    if (size < 0) throw std::bad_alloc();
    size_ = static_cast<size_t>(size);
  }
  ~WireCommand() {
    wipe(text_, size_);
    redisFreeCommand(text_);
  }
  WireCommand(const WireCommand &) = delete;
  WireCommand &operator=(const WireCommand &) = delete;
  std::string_view bytes() const { return {text_, size_}; }

 private:
  char *text_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

class RedisConnection {
 public:
  RedisConnection(const RedisAddress &address, const TlsTrust &trust, const RedisLimits &limits,
                  int64_t deadline_ms)
      : address_(address), limits_(limits), socket_(RedisSocket::connect(address, deadline_ms)) {
    if (address.tls) begin_tls(trust, deadline_ms);
    if (!address.password.empty()) log_in(deadline_ms);
    if (address.database != 0) command({"SELECT", std::to_string(address.database)}, deadline_ms);
  }

  RedisReply command(const std::vector<std::string_view> &words, int64_t deadline_ms) {
    good_ = false;  // until the whole of the reply is here
    ReplyReader reader(address_, limits_.reply_bytes);
    send(WireCommand(words).bytes(), deadline_ms);
    Chunk chunk;
    while (!reader.feed({chunk.bytes, receive(chunk.bytes, sizeof chunk.bytes, deadline_ms)})) continue;
    good_ = !reader.has_more();
    used_at_ms_ = now_ms();
    return reader.take();
  }

  // A connection with something to read before a question was asked has been closed, or is out of step.
  bool usable() const {
    return good_ && generation_ == fork_generation() && now_ms() - used_at_ms_ < limits_.idle_ms &&
           !socket_.has_input();
  }

 private:
  void log_in(int64_t deadline_ms) {
    std::vector<std::string_view> words{"AUTH", address_.user, address_.password.reveal()};
    if (address_.user.empty()) words.erase(words.begin() + 1);
    try {
      command(words, deadline_ms);
    } catch (const RedisRefusal &refusal) {
      // Without the server's sentence: it could repeat what it was told.
      const bool old = refusal.code == "ERR" && !address_.user.empty();
      throw RedisRefusal(refusal.code, "The server " + address_.text() +
                                           " refused the user name or the password of the Redis URL (" +
                                           refusal.code + ")" +
                                           (old ? "; servers before Redis 6 know no user names" : ""));
    }
  }

  void begin_tls(const TlsTrust &trust, int64_t deadline_ms) try {
    tls_ = TlsClient::make(address_.host, trust);
    while (!tls_->handshake()) {
      socket_.send(tls_->to_send(), deadline_ms);
      receive_encrypted(deadline_ms);
    }
    socket_.send(tls_->to_send(), deadline_ms);
  } catch (const RedisLost &lost) {
    throw RedisLost(Status::io, lost.message + ". Check that this port speaks TLS");
  }

  void send(std::string_view bytes, int64_t deadline_ms) {
    if (!tls_) return socket_.send(bytes, deadline_ms);
    tls_->write(bytes);
    socket_.send(tls_->to_send(), deadline_ms);
  }

  size_t receive(char *out, size_t size, int64_t deadline_ms) {
    if (!tls_) return socket_.receive(out, size, deadline_ms);
    for (;;) {
      if (const size_t count = tls_->read(out, size)) return count;
      receive_encrypted(deadline_ms);
    }
  }

  void receive_encrypted(int64_t deadline_ms) {
    char chunk[16 * 1024];
    const size_t size = socket_.receive(chunk, sizeof chunk, deadline_ms);
    tls_->received({chunk, size});
  }

  const RedisAddress &address_;
  const RedisLimits &limits_;
  RedisSocket socket_;
  std::unique_ptr<TlsClient> tls_;
  const uint64_t generation_ = fork_generation();
  int64_t used_at_ms_ = now_ms();
  bool good_ = true;
};

RedisServer::RedisServer(RedisAddress address, TlsTrust trust, RedisLimits limits)
    : address_(std::move(address)), trust_(std::move(trust)), limits_(limits) {}

RedisServer::~RedisServer() {
  for (auto &slot : idle_) delete slot.exchange(nullptr);
}

std::unique_ptr<RedisConnection> RedisServer::take_idle() {
  for (auto &slot : idle_) {
    std::unique_ptr<RedisConnection> connection(slot.exchange(nullptr));
    if (connection && connection->usable()) return connection;
  }
  return nullptr;
}

void RedisServer::give_back(std::unique_ptr<RedisConnection> connection) {
  for (auto &slot : idle_) {
    RedisConnection *empty = nullptr;
    if (slot.compare_exchange_strong(empty, connection.get())) {
      static_cast<void>(connection.release());
      return;
    }
  }
}

RedisReply RedisServer::call(const std::vector<std::string_view> &command) {
  const int64_t end_ms = now_ms() + limits_.call_ms;
  auto connection = take_idle();
  for (bool last = false;; last = true) {
    try {
      if (!connection) {
        connection = std::make_unique<RedisConnection>(address_, trust_, limits_,
                                                       std::min(end_ms, now_ms() + limits_.connect_ms));
      }
      RedisReply reply = connection->command(command, std::min(end_ms, now_ms() + limits_.command_ms));
      give_back(std::move(connection));
      return reply;
    } catch (const RedisLost &) {
      if (last) throw;
      connection = nullptr;
    } catch (const RedisRefusal &) {
      // The connection is as good as before.
      if (connection) give_back(std::move(connection));
      throw;
    } catch (const Error &error) {
      if (error.status != Status::tls) throw;
      throw Error(Status::io, "The TLS connection to the server " + address_.text() + " failed: " +
                                  error.message + ". Authorities to trust are set with COZE_OPT_CA_FILE");
    }
  }
}

}  // namespace coze::core
