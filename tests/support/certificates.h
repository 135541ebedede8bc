// Certificates for tests, made in memory: a throw-away authority and servers that are good or wrong in one
// way each. Whether a client believes them is for the tests.
#pragma once

#include <string>

namespace coze::test {

enum class ServerIdentity {
  good,           // for localhost, 127.0.0.1 and ::1, signed by the authority of test_authority_pem()
  expired,        // until yesterday
  not_yet_valid,  // from tomorrow
  wrong_host,     // for wrong.example only
  self_signed,    // by nobody else
  unknown_ca,     // signed by an authority of the same name that nobody was told about
};

struct KeyAndCertificate {
  std::string key_pem, certificate_pem;
};

// The authority to trust; the same for the whole program.
const std::string &test_authority_pem();
// Each kind is made once.
const KeyAndCertificate &server_identity(ServerIdentity kind);

}  // namespace coze::test
