# Finds hiredis 0.14 or later, for the Redis store, and makes the target coze_hiredis of it.
include(cmake/embed.cmake)
coze_find_library(hiredis hiredis/hiredis.h
  "Install version 0.14 or later (Debian: apt-get install libhiredis-dev), or build without the Redis store: -DCOZE_REDIS=OFF"
  "void *use_it(void); void *use_it(void) { char *text; redisFormatCommandArgv(&text, 0, 0, 0); return redisReaderCreate(); }")
