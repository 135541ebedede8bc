// Time as the core sees it: three readings behind one face, so that tests script all of them.
// Nothing in the core asks the operating system for the time in any other way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace coze::core {

struct CoarseTime {
  int64_t mono_ms, wall_ms;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t wall_ms() const = 0;  // Unix time; may jump
  virtual int64_t boot_ms() const = 0;  // never jumps, counts while the machine is suspended
  // Both kinds of time for the hot path: cheap, and late by as much as a tick (mono_ms) or a second
  // (wall_ms). mono_ms has an origin of its own and need not count while the machine is suspended; wall_ms
  // runs ahead of it then.
  virtual CoarseTime coarse() const { return {boot_ms(), wall_ms()}; }

  // Names this run of the machine: readings of boot_ms with the same id may be compared, also across
  // processes. "" = not known.
  virtual std::string boot_id() const { return {}; }

  // The system's clock; never freed.
  static const Clock &system();
};

// A clock that stands still until told otherwise. Thread-safe.
class ManualClock : public Clock {
 public:
  explicit ManualClock(int64_t wall_ms = 1'767'225'600'000, int64_t boot_ms = 1'000'000);
  ~ManualClock() override;
  int64_t wall_ms() const override;
  int64_t boot_ms() const override;
  std::string boot_id() const override { return "manual"; }
  void advance_ms(int64_t ms);    // time passes: both readings
  void jump_wall_ms(int64_t ms);  // somebody sets the clock: wall only

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coze::core
