/* Keys made for these tests alone; nothing trusts them.
 * Which of them the library takes, and what it says about the others, is in surface_bad_input.c. */
#ifndef COZE_TEST_KEYS_H
#define COZE_TEST_KEYS_H

#define KEY_PKCS8                                                      \
  "-----BEGIN PRIVATE KEY-----\n"                                      \
  "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDPd8aUkdXaH7FA\n" \
  "HaH7Lc63lBPwrUcrjrIhu3/98YF1rZ0UPDRloPiQ6PPWtuF1/F+zTSWN2gqRqcT9\n" \
  "TXkbRZWQ7vZvuw3Cnm7ykefV+huDbXXFemYS4OVKBZQdexQK0U9dL/Ux/KjKFNGE\n" \
  "KRmIqYnrHsTk70fCUBdjYrBo1HliUNyorev8mdfpNhC8xW2pgTyWsvZ3cE0PiVW5\n" \
  "bFdx7w6yj1HkMyO87zGkeChwIMtO/GWzdrBn11sBJckNrkuJjdQcONRVX/NpfACe\n" \
  "5XuDai9y6EGvoGfob/uG86vyVRDICWBtQZLOGs3/YXLDTtp0HnXmKv1o+ejwPJfY\n" \
  "5tClgwApAgMBAAECggEAEyYqBRKE25IrSRCzH7z1pIodYQyNUh7koCpvQOAmo9b3\n" \
  "daOs7mhyKOXng7zziHFX3/PR8IrciN9TmFGrSPIeQPdddaidN4ZqFSeUb3KbUYEr\n" \
  "6qNGgp2RbEihiCsRCYKSQbaoegmpBqXvRLSKb8u+OB5p6/uN8whzcC/uum5KGeHU\n" \
  "KIQnkz0CDq412HFTUzHv+iQT19wRjRml3bnyXNHUt5Kdk5RUQEFZ6dk3dERsGO67\n" \
  "s/epK3GtnqHfJXMQz7V4jLhhH2j/c99Ynk3YVJb1PUBp9ZdbwQgxeEsePiFfwCLK\n" \
  "QYW9BkFUH9bLfRbY12cPxmTLE11dREjvfULrXggIVQKBgQD2dnOGrpTBwYy//fKG\n" \
  "Nj/CcWpEgvjoHE43O/iKPsWZteraKxduZGBBDnAVKK6+PDRRWALVaJEQ3CgrUEit\n" \
  "moBHnMkZk4INYqGsaDo0gy2T2TqKE1IpOHZc2G6hkA9BzYaXEy5W0q9Cybz/32JL\n" \
  "7TG8887wHf3YAa7rSYZk0wkHjwKBgQDXfwcOcgKpZyyH3LH8+Demv6s4HYWDHi2p\n" \
  "lV8lJyJzh+gsznv+9baWZDbTxuv2aqWwHIF6Hq7nkM3NgbcdwL3jwXXUlQBaisar\n" \
  "1Tn1AbSuCx0Y6Av/cXgYoWASVGhY90WICYnWSO/zRRfNVdaNgDMjHGcT7j2YP0BH\n" \
  "Rwhd5o/gxwKBgQC1h/N5fPdGaxgPha1vW1/FCSJbihhpZgfaOQrMUIXcvJhZzyl3\n" \
  "/ujCoi699vQWXGOwkmGr7FQFFhNkK8MMU2Mu2/VnKDW/RCmOwko0yXX1kyfB8Y8v\n" \
  "m03a/vMlfuUt84Kxncgg3ReH2u2hjVhqUi+zW+TNCVoiEsNSvBoIA0SAUwKBgAwe\n" \
  "wuDXHLs2aFTD3ubhdw/T2+duEaJMQjk1g4JtbwycajyK6IJwg3J19Hd4yrCzUtpS\n" \
  "4B1kOGYhyNF0KD5uJr/2k4//SWPORlpHxdi33dekHGDYPESDt0N7YBHn2W6Xibua\n" \
  "/buloolGK46K82RF/5pL8Kg4UBKODCl2H0xYuWLlAoGAe3Nk5L9WIF5J8zbBiC/b\n" \
  "OLB1uUBr7tC+Mni4W7YJrY/8fs+rNx3yBZdaaHE5rIdzrQJDIZ7thQWr6Hb/EfdJ\n" \
  "LfwcdbJnEu8iCLXdXfbI5eE4c+UyiUJlTjENVurFQpM2TJxTuJ2KIBxCTuH4kKcs\n" \
  "wIZjBCLb6hGAL15gpz5ao5Q=\n"                                         \
  "-----END PRIVATE KEY-----\n"

/* The same key. */
#define KEY_PKCS1                                                      \
  "-----BEGIN RSA PRIVATE KEY-----\n"                                  \
  "MIIEowIBAAKCAQEAz3fGlJHV2h+xQB2h+y3Ot5QT8K1HK46yIbt//fGBda2dFDw0\n" \
  "ZaD4kOjz1rbhdfxfs00ljdoKkanE/U15G0WVkO72b7sNwp5u8pHn1fobg211xXpm\n" \
  "EuDlSgWUHXsUCtFPXS/1MfyoyhTRhCkZiKmJ6x7E5O9HwlAXY2KwaNR5YlDcqK3r\n" \
  "/JnX6TYQvMVtqYE8lrL2d3BND4lVuWxXce8Oso9R5DMjvO8xpHgocCDLTvxls3aw\n" \
  "Z9dbASXJDa5LiY3UHDjUVV/zaXwAnuV7g2ovcuhBr6Bn6G/7hvOr8lUQyAlgbUGS\n" \
  "zhrN/2Fyw07adB515ir9aPno8DyX2ObQpYMAKQIDAQABAoIBABMmKgUShNuSK0kQ\n" \
  "sx+89aSKHWEMjVIe5KAqb0DgJqPW93WjrO5ocijl54O884hxV9/z0fCK3IjfU5hR\n" \
  "q0jyHkD3XXWonTeGahUnlG9ym1GBK+qjRoKdkWxIoYgrEQmCkkG2qHoJqQal70S0\n" \
  "im/Lvjgeaev7jfMIc3Av7rpuShnh1CiEJ5M9Ag6uNdhxU1Mx7/okE9fcEY0Zpd25\n" \
  "8lzR1LeSnZOUVEBBWenZN3REbBjuu7P3qStxrZ6h3yVzEM+1eIy4YR9o/3PfWJ5N\n" \
  "2FSW9T1AafWXW8EIMXhLHj4hX8AiykGFvQZBVB/Wy30W2NdnD8ZkyxNdXURI731C\n" \
  "614ICFUCgYEA9nZzhq6UwcGMv/3yhjY/wnFqRIL46BxONzv4ij7FmbXq2isXbmRg\n" \
  "QQ5wFSiuvjw0UVgC1WiRENwoK1BIrZqAR5zJGZOCDWKhrGg6NIMtk9k6ihNSKTh2\n" \
  "XNhuoZAPQc2GlxMuVtKvQsm8/99iS+0xvPPO8B392AGu60mGZNMJB48CgYEA138H\n" \
  "DnICqWcsh9yx/Pg3pr+rOB2Fgx4tqZVfJScic4foLM57/vW2lmQ208br9mqlsByB\n" \
  "eh6u55DNzYG3HcC948F11JUAWorGq9U59QG0rgsdGOgL/3F4GKFgElRoWPdFiAmJ\n" \
  "1kjv80UXzVXWjYAzIxxnE+49mD9AR0cIXeaP4McCgYEAtYfzeXz3RmsYD4Wtb1tf\n" \
  "xQkiW4oYaWYH2jkKzFCF3LyYWc8pd/7owqIuvfb0FlxjsJJhq+xUBRYTZCvDDFNj\n" \
  "Ltv1Zyg1v0QpjsJKNMl19ZMnwfGPL5tN2v7zJX7lLfOCsZ3IIN0Xh9rtoY1YalIv\n" \
  "s1vkzQlaIhLDUrwaCANEgFMCgYAMHsLg1xy7NmhUw97m4XcP09vnbhGiTEI5NYOC\n" \
  "bW8MnGo8iuiCcINydfR3eMqws1LaUuAdZDhmIcjRdCg+bia/9pOP/0ljzkZaR8XY\n" \
  "t93XpBxg2DxEg7dDe2AR59lul4m7mv27paKJRiuOivNkRf+aS/CoOFASjgwpdh9M\n" \
  "WLli5QKBgHtzZOS/ViBeSfM2wYgv2ziwdblAa+7QvjJ4uFu2Ca2P/H7Pqzcd8gWX\n" \
  "WmhxOayHc60CQyGe7YUFq+h2/xH3SS38HHWyZxLvIgi13V32yOXhOHPlMolCZU4x\n" \
  "DVbqxUKTNkycU7idiiAcQk7h+JCnLMCGYwQi2+oRgC9eYKc+WqOU\n"             \
  "-----END RSA PRIVATE KEY-----\n"

/* Its public half. */
#define KEY_PUBLIC                                                     \
  "-----BEGIN PUBLIC KEY-----\n"                                       \
  "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAz3fGlJHV2h+xQB2h+y3O\n" \
  "t5QT8K1HK46yIbt//fGBda2dFDw0ZaD4kOjz1rbhdfxfs00ljdoKkanE/U15G0WV\n" \
  "kO72b7sNwp5u8pHn1fobg211xXpmEuDlSgWUHXsUCtFPXS/1MfyoyhTRhCkZiKmJ\n" \
  "6x7E5O9HwlAXY2KwaNR5YlDcqK3r/JnX6TYQvMVtqYE8lrL2d3BND4lVuWxXce8O\n" \
  "so9R5DMjvO8xpHgocCDLTvxls3awZ9dbASXJDa5LiY3UHDjUVV/zaXwAnuV7g2ov\n" \
  "cuhBr6Bn6G/7hvOr8lUQyAlgbUGSzhrN/2Fyw07adB515ir9aPno8DyX2ObQpYMA\n" \
  "KQIDAQAB\n"                                                         \
  "-----END PUBLIC KEY-----\n"

#define KEY_EC                                                         \
  "-----BEGIN PRIVATE KEY-----\n"                                      \
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZRE1Han9e6mdocOe\n" \
  "9zomL7KMAc9+qLl3sYRgazHn9B2hRANCAAS+2z+xSsgt7RL/YJc6pGsiUuM/Tnzt\n" \
  "xmGpsumhhC7iRJOgwSNLKx5zMRV6r/y1ln7DSMBm8h8AhV/NdP8SRYcm\n"         \
  "-----END PRIVATE KEY-----\n"

#define KEY_1024_BITS                                                  \
  "-----BEGIN PRIVATE KEY-----\n"                                      \
  "MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAOQa1T6JLKU+X+Oj\n" \
  "gQgTMj+T64w7O2x9FxEtcW5ysmV++P6dj3DhPF0xP5r5kSTLNeUf5xCmnFu7xEEs\n" \
  "PlIPpQrM3GJXMZjUz1iKnNMf0+A/wGtjO0IXZw0mK33L13MhkqKMnhkkFIlb0l4o\n" \
  "pNovbZuB2U+d/u8W3VtWWWImoOwvAgMBAAECgYEA0aaj9j1H7ny8z1H5Bz31gh/n\n" \
  "b9UFEfqK1/vndLcwpj6khgi0zPAHdjQMnNjigWnQmE3RJymrLlkO0UPj57J/Yggv\n" \
  "yrPFt3+/X6up4HOfDvoGHh4UVxAV8D6bQ1ZI2AQr49ZcWzYKEGArvYVT3Wc8mgi2\n" \
  "Ha29O87t+fPsAuneoLkCQQD8rkfqf25q4f2OLcVf91IzzqRTET8itzCFfgnuc9cn\n" \
  "0OxbwcCos+e43AvuPYrGAaePSslItvXxXq9EuK9dRY8TAkEA5xnoWB2WinP/oKGL\n" \
  "IJB5A1EGMkTBnlFqnUEOWclT96qD2So7u63aPdl162X1uAwLuZsXI/St0plc3sJm\n" \
  "2QHl9QJBAMFQKI78HSLCcLTEybsowQgHsOooSLArjICks75te47npNxyOA4ZTU+9\n" \
  "cZc8GB5yh5n18laiOzkFYnvl+6wVGmcCQFfy3x5xnDHytUz/TYBGGxetBSuqSPkk\n" \
  "SOuxr3FyEheF+Al0bikdn5m8IYlFUz8IromjQSo42tHz9Yj8+MELXOUCQQChP0yO\n" \
  "BM5B71mSfIfJygcNJVGAf/GGV80ijH3k2GMJ79KKR2PhJYs8FvMjlUPwow+6H8p/\n" \
  "KE+0pkcbxPHA7Ved\n"                                                 \
  "-----END PRIVATE KEY-----\n"

#endif
