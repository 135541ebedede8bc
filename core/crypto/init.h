// Making OpenSSL ready before anything else in the process does it for us.
// What is done with it afterwards is for crypto.h, and for libcurl.
#pragma once

namespace coze::core {

// Idempotent, any thread. OpenSSL then never cleans up in exit(), where our threads may still be using it.
void init_crypto();

}  // namespace coze::core
