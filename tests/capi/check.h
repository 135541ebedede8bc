/* Checks for the C programs: CHECK macros that count and name their line, clocks, threads.
 * What is checked, and against which server, is each program's own business. */
#ifndef COZE_TEST_CHECK_H
#define COZE_TEST_CHECK_H

#include <coze.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sanitizers slow everything down; limits that the documentation gives in milliseconds are stretched there.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_SLOWNESS 5
#else
#define CHECK_SLOWNESS 1
#endif

/* One failing loop must not drown the log. */
#define CHECK_SHOWN 20

static pthread_mutex_t check_mutex = PTHREAD_MUTEX_INITIALIZER;
static long check_done, check_failed;

static inline int check_report(int good, const char *file, int line, const char *what, const char *detail) {
  pthread_mutex_lock(&check_mutex);
  ++check_done;
  if (!good && ++check_failed <= CHECK_SHOWN) {
    fprintf(stderr, "%s:%d: failed: %s%s%s\n", file, line, what, detail[0] ? ": " : "", detail);
    fflush(stderr);
  }
  pthread_mutex_unlock(&check_mutex);
  return good;
}

#define CHECK(condition) check_report((condition) ? 1 : 0, __FILE__, __LINE__, #condition, "")

/* As CHECK, and the program ends when it fails: nothing after it could work. */
#define REQUIRE(condition)                                                        \
  do {                                                                            \
    if (!CHECK(condition)) {                                                      \
      fprintf(stderr, "last error: %s\n", coze_error_message(coze_last_error())); \
      exit(1);                                                                    \
    }                                                                             \
  } while (0)

static inline int check_text(const char *left, const char *right, const char *file, int line,
                             const char *what) {
  char detail[512];
  snprintf(detail, sizeof detail, "\"%.200s\" is not \"%.200s\"", left ? left : "(NULL)",
           right ? right : "(NULL)");
  return check_report((left == NULL) == (right == NULL) && (!left || strcmp(left, right) == 0), file, line,
                      what, detail);
}
#define CHECK_TEXT(left, right) check_text((left), (right), __FILE__, __LINE__, #left)

static inline int check_number(int64_t left, int64_t right, const char *file, int line, const char *what) {
  char detail[128];
  snprintf(detail, sizeof detail, "%lld is not %lld", (long long)left, (long long)right);
  return check_report(left == right, file, line, what, detail);
}
#define CHECK_NUMBER(left, right) check_number((int64_t)(left), (int64_t)(right), __FILE__, __LINE__, #left)

static inline int check_status(coze_status left, coze_status right, const char *file, int line,
                               const char *what) {
  char detail[512];
  snprintf(detail, sizeof detail, "%s, not %s; last error: %.300s", coze_status_name(left),
           coze_status_name(right), coze_error_message(coze_last_error()));
  return check_report(left == right, file, line, what, detail);
}
#define CHECK_STATUS(left, right) check_status((left), (right), __FILE__, __LINE__, #left)

/* The status of this thread's last call that could fail. */
static inline coze_status last_status(void) { return coze_error_status(coze_last_error()); }
static inline const char *last_message(void) { return coze_error_message(coze_last_error()); }

/* That call gave NULL for this reason. */
#define CHECK_REFUSED(call, status)        \
  do {                                     \
    CHECK((call) == NULL);                 \
    CHECK_STATUS(last_status(), (status)); \
    CHECK(last_message()[0] != '\0');      \
  } while (0)

static inline int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A new folder below /tmp; `path` has room for 40 characters. */
static inline const char *make_folder(char *path) {
  strcpy(path, "/tmp/coze-capi-XXXXXX");
  if (!mkdtemp(path)) {
    fprintf(stderr, "cannot make a folder in /tmp\n");
    exit(1);
  }
  return path;
}

/* With the files in it. */
static inline void remove_folder(const char *path) {
  DIR *list = opendir(path);
  struct dirent *entry;
  while (list && (entry = readdir(list)) != NULL) {
    if (entry->d_name[0] != '.') unlinkat(dirfd(list), entry->d_name, 0);
  }
  if (list) closedir(list);
  rmdir(path);
}

static inline pthread_t start_thread(void *(*run)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0) {
    fprintf(stderr, "cannot start a thread\n");
    exit(1);
  }
  return thread;
}

/* For main's end: 0 only when something was checked and nothing failed. */
static inline int check_result(const char *program) {
  pthread_mutex_lock(&check_mutex);
  long done = check_done, failed = check_failed;
  pthread_mutex_unlock(&check_mutex);
  printf("%s: %ld checks, %ld failed\n", program, done, failed);
  return done > 0 && failed == 0 ? 0 : 1;
}

#ifdef __cplusplus
}
#endif

#endif
