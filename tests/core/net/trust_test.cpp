// Where certificates of authorities are looked for, and in which order.
// That they are used is seen in engine_fault_test.cpp.
#include "net/trust.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace coze::core {
namespace {

class TrustTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char *name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"}) unsetenv(name);
  }
  void TearDown() override { SetUp(); }
  void choose(Option option, const char *value) { options.set(static_cast<int32_t>(option), value); }
  Options options;
};

TEST_F(TrustTest, TheOrderIsOptionEnvironmentSystem) {
  const Trust system = find_trust(options);
  EXPECT_FALSE(system.tried.empty());
  setenv("SSL_CERT_DIR", "/a/folder", 1);
  EXPECT_EQ(find_trust(options).folder, "/a/folder");
  setenv("CURL_CA_BUNDLE", "/a/bundle", 1);
  EXPECT_EQ(find_trust(options).file, "/a/bundle");
  EXPECT_EQ(find_trust(options).folder, "");
  setenv("SSL_CERT_FILE", "/a/file", 1);
  EXPECT_EQ(find_trust(options).file, "/a/file");
  EXPECT_EQ(find_trust(options).tried.back(), "SSL_CERT_FILE=/a/file");
  choose(Option::ca_file, "/an/option");
  EXPECT_EQ(find_trust(options).file, "/an/option");
  choose(Option::ca_pem, "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
  const Trust pem = find_trust(options);
  EXPECT_EQ(pem.file, "");
  EXPECT_NE(pem.pem, "");
}

TEST_F(TrustTest, EmptyVariablesAreAbsent) {
  setenv("SSL_CERT_FILE", "", 1);
  setenv("SSL_CERT_DIR", "/a/folder", 1);
  EXPECT_EQ(find_trust(options).folder, "/a/folder");
}

}  // namespace
}  // namespace coze::core
