// Many programs with one login: processes N ROUNDS [REDIS-URL], in a folder of its own without the URL. A
// server that revokes a login when a used refresh token comes again lets its clock run past the end of the
// token, and all programs call at once; each must get its answer, and one of them alone may refresh. Every
// fifth program is started anew in each round. The closing line's numbers are the server's.
#include "world.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace coze::test {
namespace {

// --- one program: a line in, a call, a line out

// A Redis URL, or a folder.
Store store_at(const std::string &place) {
  return place.find("://") == std::string::npos ? Store::file(place) : Store::redis(place);
}

int worker(const char *place) {
  Client client(Options().set(COZE_OPT_API_BASE, getenv("COZE_API_BASE")));
  Auth auth = Auth::pkce(client, ready("/pkce/client_id"), Options());
  auth.set_store(store_at(place));
  Request me("GET", "/v1/users/me");
  char line[8];
  while (fgets(line, sizeof line, stdin)) {
    try {
      printf("%s\n", member(me.send(auth).json(), "/data/user_name").c_str());
    } catch (const Error &error) {
      printf("%s: %s\n", coze_status_name(error.status()), error.what());
    }
    fflush(stdout);
  }
  return 0;
}

class Program {
 public:
  Program(const char *self, const std::string &place) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) fail("pipe");
    pid_ = fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      execl(self, self, "worker", place.c_str(), static_cast<char *>(nullptr));
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = fdopen(out[0], "r");
  }
  ~Program() {
    close(to_);
    fclose(from_);
    waitpid(pid_, nullptr, 0);
  }
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;

  void go() {
    if (write(to_, "go\n", 3) != 3) fail("write");
  }
  std::string answer() {
    char line[4096];
    if (!fgets(line, sizeof line, from_)) return "the program died";
    line[strcspn(line, "\n")] = '\0';
    return line;
  }

 private:
  static void fail(const char *what) {
    perror(what);
    exit(1);
  }
  pid_t pid_ = -1;
  int to_ = -1;
  FILE *from_ = nullptr;
};

// --- all of them

int64_t refreshes() { return stat("/by_grant/refresh_token"); }

void log_in(const std::string &place) {
  Client client(
      Options().set(COZE_OPT_API_BASE, ready("/base_url")).set(COZE_OPT_WWW_BASE, ready("/www_url")));
  Auth auth = Auth::pkce(client, ready("/pkce/client_id"));
  auth.set_store(store_at(place));
  Flow flow(auth, ready("/pkce/redirect_uris/0"));
  flow.finish(approve(flow.url()));
}

int run(const char *self, int count, int rounds, const std::string &place) {
  control("POST", "/_control/reset");
  log_in(place);
  int wrong = 0;
  std::vector<std::unique_ptr<Program>> programs;
  for (int i = 0; i < count; ++i) programs.push_back(std::make_unique<Program>(self, place));
  for (int round = 0; round < rounds; ++round) {
    advance_clock(901);
    for (int i = round % 5; i < count; i += 5) programs[i] = std::make_unique<Program>(self, place);
    for (auto &program : programs) program->go();
    for (auto &program : programs) {
      const std::string answer = program->answer();
      if (answer == "Alex") continue;
      if (++wrong <= 10) fprintf(stderr, "round %d: %s\n", round + 1, answer.c_str());
    }
  }
  programs.clear();
  const int64_t lost = stat("/families_revoked");
  printf("processes: %d x %d rounds, %d lost logins, %d refreshes for %d expiries\n", count, rounds,
         static_cast<int>(lost), static_cast<int>(refreshes()), rounds);
  return wrong == 0 && lost == 0 && refreshes() == rounds ? 0 : 1;
}

}  // namespace
}  // namespace coze::test

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "worker") == 0) return coze::test::worker(argv[2]);
  const int count = argc >= 3 ? atoi(argv[1]) : 0, rounds = argc >= 3 ? atoi(argv[2]) : 0;
  if (count < 1 || rounds < 1 || argc > 4) {
    fprintf(stderr, "usage: processes NUMBER ROUNDS [REDIS-URL], beside an emulator\n");
    return 2;
  }
  try {
    const coze::test::Folder folder;
    return coze::test::run(argv[0], count, rounds, argc == 4 ? argv[3] : folder.path());
  } catch (const coze::Error &error) {
    fprintf(stderr, "processes: %s\n", error.what());
    return 1;
  }
}
