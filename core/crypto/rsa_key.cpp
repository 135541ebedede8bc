// The RS256 key of a JWT app: PEM as people really paste it, parsed once, signing from many threads.
// The JWT around the signature is put together in auth/.
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/openssl.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <vector>

namespace coze::core {
namespace {

constexpr std::string_view begin_mark = "-----BEGIN";
constexpr std::string_view end_mark = "-----END";
constexpr std::string_view dashes = "-----";

[[noreturn]] void refuse(const std::string &fault) {
  throw Error(Status::invalid_argument, "private key: " + fault);
}

bool contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

// Key material on its way; wiped when it goes.
struct Scratch {
  explicit Scratch(size_t room) { bytes.reserve(room); }  // never grows, so it leaves no copies behind
  ~Scratch() { wipe(bytes); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  std::string bytes;
};

struct Block {
  std::string label;  // "PRIVATE KEY", without spaces: PEM that lost all its white space is mended too
  std::string_view body;
};

// Without white space, and without line breaks written as \n (JSON or .env text pasted as it is).
void squeeze(std::string_view text, std::string &out) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size() &&
        std::string_view("nrt").find(text[i + 1]) != std::string_view::npos) {
      ++i;
    } else if (c == '\\' && i + 1 < text.size() && (text[i + 1] == '\n' || text[i + 1] == '\\')) {
      continue;
    } else if (c != ' ' && !(c >= '\t' && c <= '\r')) {
      out += c;
    }
  }
}

// All blocks in order; text around them (comments, "Bag Attributes") does not matter.
std::vector<Block> blocks_of(std::string_view pem) {
  std::vector<Block> blocks;
  for (size_t at = pem.find(begin_mark); at != std::string_view::npos; at = pem.find(begin_mark, at)) {
    const size_t label = at + begin_mark.size();
    const size_t label_end = pem.find(dashes, label);
    if (label_end == std::string_view::npos || label_end - label > 80) {
      refuse("its -----BEGIN line is damaged: it has to end with five dashes");
    }
    const size_t body = label_end + dashes.size();
    const size_t end = pem.find(end_mark, body);
    Block block;
    squeeze(pem.substr(label, label_end - label), block.label);
    if (end == std::string_view::npos ||
        pem.substr(body, end - body).find(begin_mark) != std::string_view::npos) {
      refuse("it is cut off: the -----END line is missing");
    }
    block.body = pem.substr(body, end - body);
    blocks.push_back(std::move(block));
    at = end;
  }
  return blocks;
}

bool is_private(const Block &block) { return contains(block.label, "PRIVATEKEY"); }

void check_kind(const Block &block) {
  const std::string &label = block.label;
  if (label == "ENCRYPTEDPRIVATEKEY" || contains(block.body, "Proc-Type")) {
    refuse(
        "this key is encrypted; give it unencrypted, for example with: openssl pkey -in key.pem -out "
        "plain.pem");
  }
  if (label == "PRIVATEKEY" || label == "RSAPRIVATEKEY") return;
  if (contains(label, "PUBLICKEY")) refuse("this is a public key; give the private key that belongs to it");
  if (contains(label, "CERTIFICATEREQUEST"))
    refuse("this is a certificate request; give the private key it was made with");
  if (contains(label, "CERTIFICATE"))
    refuse("this is a certificate; give the private key that belongs to it");
  if (contains(label, "OPENSSH")) {
    refuse(
        "this is a key in OpenSSH's own format; convert a copy of it with: ssh-keygen -p -m PEM -f copy.pem");
  }
  if (label == "ECPRIVATEKEY" || label == "DSAPRIVATEKEY")
    refuse("this is not an RSA key; Coze signs with RS256 only");
  refuse("this is PEM of another kind; an RSA key begins with -----BEGIN PRIVATE KEY-----");
}

// No PEM mark in the text: say what it looks like instead. None of it is quoted, because it may be the key.
[[noreturn]] void refuse_without_marks(std::string_view text) {
  const bool short_line = text.size() <= 1024 && text.find('\n') == std::string_view::npos;
  const size_t dot = text.rfind('.');
  const std::string_view extension = dot == std::string_view::npos ? std::string_view() : text.substr(dot);
  const bool named = extension == ".pem" || extension == ".key" || extension == ".txt" || extension == ".der";
  if (short_line && (named || text.front() == '/' || text.front() == '~' || text.substr(0, 2) == "./" ||
                     (text.size() > 2 && text.substr(1, 2) == ":\\"))) {
    refuse("this looks like the name of a file; give the text that the file holds");
  }
  if (contains(text, "PRIVATE KEY") || contains(text, "PRIVATEKEY")) {
    refuse("its -----BEGIN line is damaged: it has to begin and end with five dashes");
  }
  refuse("this is no PEM text; it has to begin with -----BEGIN PRIVATE KEY-----");
}

int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Standard base64; padding may be missing.
void decode(std::string_view text, std::string &out) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = sextet(c);
    if (value < 0) refuse("its base64 is damaged: there is a character in it that does not belong there");
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  if (text.size() % 4 == 1) refuse("its base64 is damaged: a part is missing");
}

// By hand, not through OSSL_DECODER: that tries every format it knows and says little about which one failed.
PkeyPtr read_der(std::string_view der, bool pkcs1) {
  const auto *at = reinterpret_cast<const unsigned char *>(der.data());
  const auto *const end = at + der.size();
  const auto size = static_cast<long>(der.size());
  PkeyPtr key;
  if (pkcs1) {
    key.reset(d2i_PrivateKey_ex(EVP_PKEY_RSA, nullptr, &at, size, openssl_context(), nullptr));
  } else {
    using Info = std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpensslFree<PKCS8_PRIV_KEY_INFO_free>>;
    const Info info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, size));
    if (info) key.reset(EVP_PKCS82PKEY_ex(info.get(), openssl_context(), nullptr));
  }
  if (key && at != end) key.reset();
  return key;
}

class OpensslRsaKey final : public RsaKey {
 public:
  explicit OpensslRsaKey(PkeyPtr key) : key_(std::move(key)), prepared_(EVP_MD_CTX_new()) {
    if (!prepared_ || EVP_DigestSignInit_ex(prepared_.get(), nullptr, "SHA256", openssl_context(), nullptr,
                                            key_.get(), nullptr) != 1) {
      throw Error(Status::internal, "OpenSSL could not prepare the private key for signing");
    }
  }

  std::string sign_rs256(std::string_view data) const override {
    const QuietErrors quiet;
    // A copy of the prepared context: nothing is looked up by name, and threads share only what nobody
    // changes.
    const MdCtxPtr context(EVP_MD_CTX_new());
    std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key_.get())), '\0');
    size_t size = signature.size();
    const bool good =
        context && EVP_MD_CTX_copy_ex(context.get(), prepared_.get()) == 1 &&
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char *>(signature.data()), &size,
                       reinterpret_cast<const unsigned char *>(data.data()), data.size()) == 1;
    if (!good) throw Error(Status::internal, "OpenSSL could not sign with the private key");
    signature.resize(size);
    return signature;
  }

  bool verifies(std::string_view data, std::string_view signature) const {
    const MdCtxPtr context(EVP_MD_CTX_new());
    return context &&
           EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", openssl_context(), nullptr, key_.get(),
                                   nullptr) == 1 &&
           EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char *>(signature.data()),
                            signature.size(), reinterpret_cast<const unsigned char *>(data.data()),
                            data.size()) == 1;
  }

 private:
  PkeyPtr key_;
  MdCtxPtr prepared_;  // never changed after the constructor
};

std::shared_ptr<const RsaKey> checked(PkeyPtr key) {
  if (EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA_PSS)
    refuse("this key is for RSA-PSS only; Coze signs with RS256");
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA)
    refuse("this is not an RSA key; Coze signs with RS256 only");
  const int bits = EVP_PKEY_get_bits(key.get());
  if (bits < 2048) refuse("it has " + std::to_string(bits) + " bits, but RS256 needs 2048 or more");
  // One signature tells whether the numbers belong together; a full check of the primes takes 100 times as
  // long.
  const auto result = std::make_shared<const OpensslRsaKey>(std::move(key));
  bool good = false;
  try {
    good = result->verifies("check", result->sign_rs256("check"));
  } catch (const Error &) {
  }
  if (!good) refuse("it is damaged: its numbers do not belong together");
  return result;
}

}  // namespace

std::shared_ptr<const RsaKey> RsaKey::parse(std::string_view pem) {
  const QuietErrors quiet;
  const std::string_view text = trim(pem);
  if (text.empty()) refuse("there is none; give the PEM text that begins with -----BEGIN PRIVATE KEY-----");
  if (text.size() > 1'000'000) refuse("the text is longer than any key");
  const std::vector<Block> blocks = blocks_of(text);
  Block block{"PRIVATEKEY", text};  // the base64 alone, as some consoles hand it out
  if (!blocks.empty()) {
    const auto found = std::find_if(blocks.begin(), blocks.end(), is_private);
    block = found == blocks.end() ? blocks.front() : *found;
    check_kind(block);
  } else if (text.substr(0, 3) != "MII") {
    refuse_without_marks(text);
  }
  Scratch base64(block.body.size());
  squeeze(block.body, base64.bytes);
  if (base64.bytes.empty()) refuse("there is nothing between its -----BEGIN and -----END lines");
  Scratch der(base64.bytes.size());
  decode(base64.bytes, der.bytes);
  const bool pkcs1 = block.label == "RSAPRIVATEKEY";
  PkeyPtr key = read_der(der.bytes, pkcs1);
  if (!key) key = read_der(der.bytes, !pkcs1);  // the label of the other kind: what counts is what is inside
  if (!key) refuse("it is damaged: its base64 holds no key. Copy it again, from -----BEGIN to -----END");
  return checked(std::move(key));
}

}  // namespace coze::core
