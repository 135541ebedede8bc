# Finds wslay, which knows the frames of WebSockets, and makes the target coze_wslay of it.
include(cmake/embed.cmake)
coze_find_library(wslay wslay/wslay.h
  "Install version 1.1 or later (Debian: apt-get install libwslay-dev)"
  "void *use_it(void); void *use_it(void) { return (void *)&wslay_frame_recv; }")
