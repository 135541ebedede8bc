// Checks in the order that gives the most helpful message, and never lets a pasted mistake or a stranger's
// visit end the flow. The texts of requests and answers are grant.h's, those for the browser login_page.h's.
#include "auth/code_flow.h"

#include "auth/install_answer.h"
#include "auth/login_page.h"
#include "base/log.h"
#include "base/text.h"
#include "base/url.h"
#include "net/reply.h"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace coze::core {
namespace {

constexpr int64_t never_ms = std::numeric_limits<int64_t>::max() / 4;

[[noreturn]] void refuse(const std::string &message) { throw Error(Status::invalid_argument, message); }

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void check_verifier(std::string_view verifier) {  // RFC 7636 section 4.1
  if (verifier.size() < 43 || verifier.size() > 128) {
    refuse("verifier has " + std::to_string(verifier.size()) +
           " characters: give 43 to 128, or NULL to have one made");
  }
  if (!std::all_of(verifier.begin(), verifier.end(), is_unreserved)) {
    refuse("verifier may hold only letters, digits and - . _ ~");
  }
}

void check_state(std::string_view state) {
  if (state.empty()) refuse("state is empty: give one that nobody can guess, or NULL to have one made");
  const bool plain = std::all_of(state.begin(), state.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (!plain) refuse("state may hold only printable ASCII characters (RFC 6749 appendix A.5)");
}

// An app of its own scheme has no host: "com.example.app:/callback".
bool is_own_scheme(std::string_view uri) {
  const size_t colon = uri.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == uri.size()) return false;
  const std::string_view scheme = uri.substr(0, colon);
  if (equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "https")) return false;
  const auto in_scheme = [](char c) { return is_unreserved(c) ? c != '_' && c != '~' : c == '+'; };
  const auto visible = [](char c) { return c > 0x20 && c < 0x7F; };
  const bool letter = (scheme[0] | 0x20) >= 'a' && (scheme[0] | 0x20) <= 'z';
  return letter && std::all_of(scheme.begin(), scheme.end(), in_scheme) &&
         std::all_of(uri.begin(), uri.end(), visible);
}

void check_redirect_uri(std::string_view uri) {
  if (uri.empty()) refuse("redirect_uri is empty: give one that is registered for the app");
  if (uri.find('#') != std::string_view::npos) {
    refuse(
        "redirect_uri has a fragment (#…), which RFC 6749 section 3.1.2 forbids: register and give one "
        "without it");
  }
  if (!Url::parse(uri) && !is_own_scheme(uri)) {
    refuse(
        "redirect_uri is not an absolute URL: give it exactly as it is registered, such as "
        "https://app.example/callback");
  }
}

// "" and "/" are the same address; escapes may be written in two ways.
std::string comparable_path(std::string_view path) {
  const std::string decoded = percent_decode(path, false).value_or(std::string(path));
  return decoded.empty() ? "/" : decoded;
}

bool same_address(std::string_view redirect, std::string_view redirect_uri) {
  redirect = redirect.substr(0, redirect.find('?'));  // a browser's query may hold what Url refuses
  redirect_uri = redirect_uri.substr(0, redirect_uri.find('?'));
  auto a = Url::parse(redirect);
  const auto b = Url::parse(redirect_uri);
  if (b && redirect.find("://") == std::string_view::npos) {
    a = Url::parse(b->scheme + "://" + std::string(redirect));  // address bars hide the scheme
  }
  if (!a || !b) return redirect == redirect_uri;
  // A proxy that ends TLS changes the scheme, so that is not compared, nor the port that it implies.
  const auto port = [](const Url &url) {
    return url.origin() == url.scheme + "://" + url.host ? 0 : url.port;
  };
  return a->host == b->host && port(*a) == port(*b) && comparable_path(a->path) == comparable_path(b->path);
}

std::string without_slash(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

Error cancelled() { return Error(Status::cancelled, "finishing the flow was cancelled"); }

// What the authorize page said in place of a code (RFC 6749 section 4.1.2.1).
Error refusal(const Redirect &redirect) {
  Status status = classify(400, 0, redirect.error);
  std::string message = redirect.error == "access_denied" ? "The person refused the authorization"
                                                          : "The authorize page answered with the error " +
                                                                quotable(redact(redirect.error), 60);
  if (!redirect.error_description.empty())
    message += ": \"" + quotable(redact(redirect.error_description)) + "\"";
  Error error(status, message + ".");
  error.name = quotable(redact(redirect.error), 60);
  return error;
}

}  // namespace

CodeFlow::CodeFlow(std::shared_ptr<Credential> credential, std::string_view redirect_uri,
                   std::optional<std::string_view> state, std::optional<std::string_view> verifier,
                   const Random &random)
    : credential_(std::move(credential)), redirect_uri_(redirect_uri) {
  const GrantSettings &settings = credential_->settings();
  check_redirect_uri(redirect_uri);
  if (state) check_state(*state);
  state_ = state ? std::string(*state) : random.base64url(32);
  std::string challenge;
  if (settings.grant == Grant::pkce) {
    if (verifier) check_verifier(*verifier);
    verifier_ = Secret(verifier ? *verifier : std::string_view(random.base64url(48)));
    challenge = pkce_challenge(verifier_.reveal(), settings.pkce_plain);
  } else if (verifier) {
    refuse("verifier is for PKCE only: pass NULL, or make the credential with coze_auth_new_pkce");
  }
  url_ = authorize_url(settings, redirect_uri_, state_, challenge);
}

// Takes no lock: in a forked child it may be held by a thread that is not here.
CodeFlow::~CodeFlow() {
  if (listener_) listener_->close(login_page(LoginEnd::given_up));
  try {
    if (closing_) credential_->engine()->cancel(closing_);
  } catch (const std::bad_alloc &) {  // it stays, and says nothing
  }
}

// --- the browser

void CodeFlow::listen() {
  const std::shared_ptr<Engine> &engine = credential_->engine();
  engine->check_usable();
  std::lock_guard lock(mutex_);
  if (finished_) throw Error(Status::state, "this flow has brought its token already: start another one");
  if (listener_) return;
  if (done_) throw Error(Status::state, "this flow is being finished already: listen before that");
  const std::weak_ptr<CodeFlow> weak = weak_from_this();
  auto listener =
      std::make_unique<Listener>(redirect_uri_, [weak](std::string_view query) -> std::optional<Page> {
        const auto self = weak.lock();
        return self ? self->visited(query) : login_page(LoginEnd::given_up);
      });
  if (!closing_) {
    closing_ = engine->after(never_ms, [weak](bool) {
      if (const auto self = weak.lock()) self->stop_listening(login_page(LoginEnd::given_up));
    });
  }
  listener->run();
  listener_ = std::move(listener);
}

// Holds the browser that belongs to this flow until it is known how the login ends; all others are told off.
std::optional<Page> CodeFlow::visited(std::string_view query) {
  const std::shared_ptr<Engine> &engine = credential_->engine();
  try {
    std::string redirect = "?" + std::string(query);
    Arrival arrival = arrival_in(redirect);
    wipe(redirect);
    std::lock_guard lock(mutex_);
    if (finished_ || arrival_ || (done_ && !waiting_)) return login_page(LoginEnd::second);
    if (waiting_) engine->post([self = shared_from_this()] { self->came(); });
    arrival_ = std::move(arrival);
    return std::nullopt;
  } catch (const Error &error) {
    engine->log().write(LogLevel::warn,
                        "a browser came back that does not belong to the login: " + error.message);
    return login_page(LoginEnd::stranger);
  }
}

// The browser may come, and be served, before the timer is set.
void CodeFlow::wait(uint64_t serial, int64_t timeout_ms) {
  const std::shared_ptr<Engine> engine = credential_->engine();
  Engine::Ticket ticket = 0;
  std::optional<Error> error;
  try {
    ticket = engine->after(timeout_ms < 0 ? never_ms : std::min(timeout_ms, never_ms),
                           [self = shared_from_this(), serial](bool fired) { self->woken(serial, fired); });
  } catch (Error &fault) {
    error = std::move(fault);
  } catch (const std::bad_alloc &) {
    error = Error(Status::memory, "out of memory");
  }
  bool present = false, late = false;
  {
    std::lock_guard lock(mutex_);
    present = serial == wait_serial_;
    late = cancelled_ || !present;
    if (present) ticket_ = ticket;
  }
  if (error && present) return end({{}, std::move(error)});
  if (ticket && late) engine->cancel(ticket);
}

// The time is over, or the wait was cancelled, by hand or by a closing client.
void CodeFlow::woken(uint64_t serial, bool fired) {
  std::optional<Error> error;
  {
    std::lock_guard lock(mutex_);
    if (serial != wait_serial_ || !waiting_) return;
    if (!fired) {
      error = cancelled();
    } else if (!arrival_) {
      error = Error(Status::timeout, "the browser has not come back yet: the flow goes on, call again");
    }
  }
  return error ? end({{}, std::move(error)}) : came();
}

void CodeFlow::came() {
  std::optional<Error> refusal;
  Engine::Ticket timer = 0;
  {
    std::lock_guard lock(mutex_);
    if (!waiting_ || !arrival_) return;
    if (cancelled_) {
      refusal = cancelled();  // and the browser stays for the next finish
    } else {
      take_browsers(refusal);
    }
    timer = std::exchange(ticket_, 0);
  }
  if (timer) credential_->engine()->cancel(timer);
  return refusal ? end({{}, std::move(refusal)}) : exchange();
}

// From here on there is an exchange, which has a time of its own.
void CodeFlow::take_browsers(std::optional<Error> &refusal) {
  code_ = std::move(arrival_->code);
  refusal = std::move(arrival_->refusal);
  arrival_.reset();
  waiting_ = false;
  ++wait_serial_;
  answers_ = true;
  timeout_ms_ = -1;
}

void CodeFlow::stop_listening(Page farewell) {
  std::unique_ptr<Listener> listener;
  {
    std::lock_guard lock(mutex_);
    listener = std::move(listener_);
    arrival_.reset();
  }
  if (listener) listener->close(std::move(farewell));
}

// --- finishing

void CodeFlow::finish(std::optional<std::string_view> redirect, int64_t timeout_ms, Done done) {
  std::optional<Error> error;
  std::optional<Next> next;
  uint64_t serial = 0;
  try {
    credential_->engine()->check_usable();
    std::lock_guard lock(mutex_);
    next = begin(redirect, timeout_ms, error);
    serial = wait_serial_;
    done_.swap(done);
  } catch (Error &fault) {
    error = std::move(fault);
  }
  if (!next) return done({{}, std::move(error)});
  if (next == Next::wait) return wait(serial, timeout_ms);
  return next == Next::end ? end({{}, std::move(error)}) : exchange();
}

// Decides how the finish goes on, or throws; `refusal` is what it ends in.
CodeFlow::Next CodeFlow::begin(std::optional<std::string_view> redirect, int64_t timeout_ms,
                               std::optional<Error> &refusal) {
  if (done_) throw Error(Status::state, "this flow is being finished already: wait for that, or cancel it");
  if (finished_) throw Error(Status::state, "this flow has brought its token already: start another one");
  std::optional<Arrival> pasted;
  if (redirect) {
    pasted = arrival_in(*redirect);
    if (pasted->refusal) throw std::move(*pasted->refusal);
  }
  if (!redirect && !listener_) {
    throw Error(
        Status::state,
        "nothing listens for the browser: call coze_flow_listen first, or pass the redirect, which is the "
        "URL that the browser was sent to, or its query");
  }
  if (!redirect && !arrival_ && timeout_ms == 0) {
    throw Error(Status::auth_pending, "the browser has not come back yet: finish again later");
  }
  cancelled_ = sent_again_ = false;
  if (arrival_) {
    take_browsers(refusal);
    return refusal ? Next::end : Next::exchange;
  }
  waiting_ = !redirect;
  if (waiting_) return Next::wait;
  code_ = std::move(pasted->code);
  timeout_ms_ = timeout_ms;
  return Next::exchange;
}

CodeFlow::Arrival CodeFlow::arrival_in(std::string_view redirect) const {
  const Redirect came = read_redirect(redirect);
  check_address(trim(redirect));
  if (!came.has_state) {
    throw Error(Status::state_mismatch,
                "the redirect carries no state, so nothing shows that it answers this flow: "
                "open the flow's URL again, and pass on the whole redirect");
  }
  if (!constant_time_equal(came.state, state_)) {
    throw Error(Status::state_mismatch,
                "the redirect's state is not this flow's: it answers another attempt to log "
                "in, or somebody forged it; open this flow's URL again");
  }
  if (!came.error.empty()) return {{}, refusal(came)};
  const GrantSettings &settings = credential_->settings();
  const std::string iss = without_slash(came.iss);
  if (!iss.empty() && iss != without_slash(settings.api_base) && iss != without_slash(settings.www_base)) {
    throw Error(Status::state_mismatch, "the redirect names another issuer (RFC 9207) than " +
                                            settings.www_base +
                                            ": it comes from another server; check api_base and www_base");
  }
  if (came.code.empty()) refuse("redirect has the right state but no code: pass on the whole redirect");
  return {Secret(came.code), {}};
}

// Only a whole URL says where the browser was sent.
void CodeFlow::check_address(std::string_view redirect) const {
  const size_t query = redirect.find_first_of("?=");
  if (query == std::string_view::npos || redirect[query] != '?' || query == 0 || redirect[0] == '/') return;
  if (same_address(redirect, redirect_uri_)) return;
  refuse(
      "redirect is not at this flow's redirect_uri (host, port or path differ): it belongs to another flow. "
      "Behind a proxy that changes the address, pass the query alone");
}

// A code is good for one request: sent again only when not one byte of it had left.
void CodeFlow::exchange() {
  try {
    HttpRequest request =
        code_exchange_request(credential_->settings(), code_.reveal(), redirect_uri_, verifier_.reveal());
    if (timeout_ms_ > 0) request.total_timeout_ms = std::min(request.total_timeout_ms, timeout_ms_);
    auto ticket = credential_->engine()->start(
        std::move(request),
        [self = shared_from_this()](Outcome outcome) { self->answered(std::move(outcome)); });
    bool late = false;
    {
      std::lock_guard lock(mutex_);
      ticket_ = ticket;
      late = cancelled_;
    }
    if (late) credential_->engine()->cancel(ticket);
  } catch (Error &error) {
    end({{}, std::move(error)});
  } catch (const std::bad_alloc &) {
    end({{}, Error(Status::memory, "out of memory")});
  }
}

void CodeFlow::answered(Outcome outcome) {
  if (!outcome.ok()) {
    const Error &error = *outcome.error;
    const bool unsent =
        error.nothing_sent && error.status != Status::tls && error.status != Status::cancelled;
    if (unsent && !std::exchange(sent_again_, true)) return exchange();
    return end({{}, std::move(outcome.error)});
  }
  {
    std::lock_guard lock(mutex_);
    ticket_ = 0;
  }
  install_answer(*credential_, *outcome.reply,
                 [self = shared_from_this()](TokenOutcome result) { self->end(std::move(result)); });
  wipe(outcome.reply->body);
}

// The browser gets its page first: a program may exit as soon as it knows.
void CodeFlow::end(TokenOutcome outcome) {
  Done done;
  bool over = false;
  {
    std::lock_guard lock(mutex_);
    done = std::exchange(done_, nullptr);
    waiting_ = false;
    ++wait_serial_;
    ticket_ = 0;
    code_ = Secret();
    finished_ = !outcome.error.has_value();
    over = std::exchange(answers_, false) || finished_ || let_go_;
  }
  if (over) stop_listening(login_page(outcome.error ? &*outcome.error : nullptr));
  if (done) done(std::move(outcome));
}

// Not left to the destructor: the I/O thread may be the last to drop the flow, and the port is wanted again.
void CodeFlow::let_go() {
  {
    std::lock_guard lock(mutex_);
    let_go_ = true;
    if (done_) return;
  }
  stop_listening(login_page(LoginEnd::given_up));
}

void CodeFlow::cancel() {
  Engine::Ticket ticket = 0;
  {
    std::lock_guard lock(mutex_);
    if (!done_) return;
    cancelled_ = true;
    ticket = ticket_;
  }
  if (ticket) return credential_->engine()->cancel(ticket);
  // The token is on its way into the store: it goes on without this finish.
  end({{}, Error(Status::cancelled, "finishing the flow was cancelled")});
}

}  // namespace coze::core
