/* The answer to a WebSocket's key (RFC 6455 section 4.2.2): SHA-1 (FIPS 180-4) and base64, without a library.
 */
#ifndef COZE_TEST_ACCEPT_H
#define COZE_TEST_ACCEPT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t rotated(uint32_t word, int bits) { return (word << bits) | (word >> (32 - bits)); }

static void sha1_block(uint32_t hash[5], const unsigned char *block) {
  static const uint32_t keys[4] = {0x5a827999u, 0x6ed9eba1u, 0x8f1bbcdcu, 0xca62c1d6u};
  uint32_t words[80], now[5], mixed, next;
  int i;
  for (i = 0; i < 16; ++i)
    words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (i = 16; i < 80; ++i)
    words[i] = rotated(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  memcpy(now, hash, sizeof now);
  for (i = 0; i < 80; ++i) {
    if (i < 20)
      mixed = (now[1] & now[2]) | (~now[1] & now[3]);
    else if (i < 40 || i >= 60)
      mixed = now[1] ^ now[2] ^ now[3];
    else
      mixed = (now[1] & now[2]) | (now[1] & now[3]) | (now[2] & now[3]);
    next = rotated(now[0], 5) + mixed + now[4] + keys[i / 20] + words[i];
    now[4] = now[3], now[3] = now[2], now[2] = rotated(now[1], 30), now[1] = now[0], now[0] = next;
  }
  for (i = 0; i < 5; ++i) hash[i] += now[i];
}

/* key: 24 characters. out: room for 29. */
static void accept_of(const char *key, char *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint32_t hash[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
  unsigned char text[128] = {0}, digest[21] = {0};
  int size = snprintf((char *)text, 64, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  int i;
  text[size] = 0x80;
  text[126] = (unsigned char)(size * 8 >> 8);
  text[127] = (unsigned char)(size * 8);
  sha1_block(hash, text);
  sha1_block(hash, text + 64);
  for (i = 0; i < 20; ++i) digest[i] = (unsigned char)(hash[i / 4] >> (24 - 8 * (i % 4)));
  for (i = 0; i < 7; ++i) {
    uint32_t three = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];
    *out++ = letters[three >> 18 & 63];
    *out++ = letters[three >> 12 & 63];
    *out++ = letters[three >> 6 & 63];
    *out++ = letters[three & 63];
  }
  out[-1] = '='; /* 20 bytes: the last group has two */
  *out = '\0';
}

#endif
