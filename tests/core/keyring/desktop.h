// A desktop's worth of services for one test: a D-Bus session and a GNOME Keyring, in a folder of their own.
// Nothing of the machine's own session is asked or changed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

// A program that does not outlive this one.
class Program {
 public:
  // argv[0] is looked for in PATH. `input` becomes its stdin; output and errors go to the file `log`.
  Program(const std::vector<std::string> &argv, const std::string &input, std::string log);
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;
  ~Program();  // kills it

  void stop();   // it answers no more
  void go_on();  // answers what came meanwhile, and all that comes
  void kill();   // SIGKILL, unless it has ended; it is gone when this returns
  int wait();    // its exit status, or 128 + the signal that ended it
  std::string output() const;

 private:
  pid_t pid_ = -1;
  std::string log_;
};

// While it exists, this process belongs to that session, as far as its environment tells.
class Desktop {
 public:
  Desktop();
  Desktop(const Desktop &) = delete;
  Desktop &operator=(const Desktop &) = delete;
  ~Desktop();

  void start_bus();      // at the same address again; the first one is started already
  void start_keyring();  // unlocked; with what an earlier one of this desktop kept
  void lock_keyring();
  void kill_keyring();
  void start_empty_keyring();  // nobody has logged in: it has no default collection
  void set_environment(const char *name, const char *value);  // nullptr = unset
  // Its output; fails the test unless it succeeds.
  std::string run(const std::vector<std::string> &argv, const std::string &input = "");

  Program &bus() { return *bus_; }
  Program &keyring() { return *keyring_; }

 private:
  void start_daemon(std::vector<std::string> argv, const std::string &input);
  bool has_keyring();
  std::string ask(const std::string &method, const std::string &argument);  // "" = no answer
  std::string path(const std::string &name) const { return folder_ + "/" + name; }

  std::string folder_;
  std::map<std::string, std::optional<std::string>> before_;
  std::unique_ptr<Program> bus_, keyring_;
};
