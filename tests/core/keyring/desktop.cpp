// Starts the two daemons and waits until they answer.
// What is asked of them is each test's.
#include "core/keyring/desktop.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

std::string text_of(const std::string &file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// Asks again until it is so: what other processes do cannot be waited for.
template <class Condition>
void wait_until(const std::string &what, Condition condition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) throw std::runtime_error("waited in vain for " + what);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

Program::Program(const std::vector<std::string> &argv, const std::string &input, std::string log)
    : log_(std::move(log)) {
  std::vector<char *> words;
  for (const std::string &word : argv) words.push_back(const_cast<char *>(word.c_str()));
  words.push_back(nullptr);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const int out = open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(pipe_ends[0], STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(out);
  close(pipe_ends[0]);
  if (write(pipe_ends[1], input.data(), input.size()) < 0) throw std::runtime_error("write to a program");
  close(pipe_ends[1]);
}

Program::~Program() { kill(); }

void Program::stop() { ::kill(pid_, SIGSTOP); }

void Program::go_on() { ::kill(pid_, SIGCONT); }

void Program::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

int Program::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Program::output() const { return text_of(log_); }

Desktop::Desktop() {
  char name[] = "/tmp/coze-desktop-XXXXXX";
  if (!mkdtemp(name)) throw std::runtime_error("mkdtemp");
  folder_ = name;
  for (const char *variable :
       {"HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"}) {
    std::filesystem::create_directory(path(variable));
    std::filesystem::permissions(path(variable), std::filesystem::perms::owner_all);
    set_environment(variable, path(variable).c_str());
  }
  for (const char *variable : {"DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL", "SECRET_BACKEND"})
    set_environment(variable, nullptr);
  start_bus();
}

Desktop::~Desktop() {
  keyring_.reset();
  bus_.reset();
  for (const auto &[name, value] : before_)
    value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  std::filesystem::remove_all(folder_);
}

void Desktop::set_environment(const char *name, const char *value) {
  const char *before = std::getenv(name);
  before_.try_emplace(name, before ? std::optional<std::string>(before) : std::nullopt);
  value ? setenv(name, value, 1) : unsetenv(name);
}

std::string Desktop::run(const std::vector<std::string> &argv, const std::string &input) {
  Program program(argv, input, path("run.log"));
  const int status = program.wait();
  EXPECT_EQ(status, 0) << argv[0] << ": " << program.output();
  return program.output();
}

// Without folders of services, so that the bus starts none by itself.
void Desktop::start_bus() {
  bus_.reset();
  const std::string socket = path("XDG_RUNTIME_DIR") + "/bus";
  std::ofstream(path("bus.conf"))
      << R"(<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><auth>EXTERNAL</auth><listen>unix:path=)"
      << socket
      << R"(</listen><policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>)";
  bus_ =
      std::make_unique<Program>(std::vector<std::string>{"dbus-daemon", "--config-file=" + path("bus.conf"),
                                                         "--nofork", "--print-address=1"},
                                "", path("bus.log"));
  wait_until("dbus-daemon", [&] { return bus_->output().find("unix:path=") != std::string::npos; });
  set_environment("DBUS_SESSION_BUS_ADDRESS", ("unix:path=" + socket).c_str());
}

std::string Desktop::ask(const std::string &method, const std::string &argument) {
  const bool of_keyring = method.starts_with("org.freedesktop.Secret.");
  Program program({"dbus-send", "--session", "--print-reply",
                   of_keyring ? "--dest=org.freedesktop.secrets" : "--dest=org.freedesktop.DBus",
                   of_keyring ? "/org/freedesktop/secrets" : "/org/freedesktop/DBus", method, argument},
                  "", path("ask.log"));
  return program.wait() == 0 ? program.output() : "";
}

bool Desktop::has_keyring() {
  return !ask("org.freedesktop.DBus.GetNameOwner", "string:org.freedesktop.secrets").empty();
}

void Desktop::kill_keyring() {
  keyring_->kill();
  wait_until("the keyring's name to go", [&] { return !has_keyring(); });
}

void Desktop::start_daemon(std::vector<std::string> argv, const std::string &input) {
  if (keyring_) kill_keyring();
  argv.insert(argv.begin(), "gnome-keyring-daemon");
  argv.insert(argv.end(), {"--foreground", "--components=secrets", "--control-directory=" + path("control")});
  keyring_ = std::make_unique<Program>(argv, input, path("keyring.log"));
  wait_until("gnome-keyring-daemon", [&] { return has_keyring(); });
}

void Desktop::start_keyring() {
  start_daemon({"--unlock"}, "open sesame");
  wait_until("the default collection", [&] {
    return ask("org.freedesktop.Secret.Service.ReadAlias", "string:default").find("/login") !=
           std::string::npos;
  });
}

void Desktop::lock_keyring() {
  const std::string answer =
      ask("org.freedesktop.Secret.Service.Lock", "array:objpath:/org/freedesktop/secrets/collection/login");
  EXPECT_NE(answer.find("/login"), std::string::npos) << answer;
}

void Desktop::start_empty_keyring() { start_daemon({}, ""); }
