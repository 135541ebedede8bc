#!/usr/bin/env python3
"""Stops or refuses a file store at each of its system calls, and looks at what is left: store_crash.py STORE_STEPS

A first login, a refresh and a logout run under strace once to list their system calls, and then again for every one
of them: killed there, refused with EIO, refused with ENOSPC. Afterwards a new process must find the old login or the
new one, whole, and be able to lock and to save; every file must be this user's alone, and nothing may be left over.
"""

import collections
import concurrent.futures
import itertools
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

# (step, what is stored before, what it leaves when it goes well)
STEPS = [("save", "none", "1"), ("refresh", "1", "2"), ("logout", "1", "none")]
KINDS = {"signal=KILL": "SIGKILL", "error=EIO": "EIO", "error=ENOSPC": "ENOSPC"}
# They take an error that no kernel gives for the end of the world: only killed there.
NEVER_FAIL = {"brk", "futex"}
# A signal of the host's may interrupt these: nobody must notice.
INTERRUPTIBLE = {"openat", "read", "pwrite64", "fsync", "fallocate", "ftruncate", "flock"}
# What fails here must be heard of: nobody knows what is on the disk.
REPORTED = {"pwrite64", "fsync", "ftruncate", "fallocate", "renameat", "unlinkat"}
# A store may say that it failed in these ways, and in no other.
WORDS = re.compile(r"(IO|STATE|MEMORY|INTERNAL): |MEMORY$")
CALL = re.compile(r"^([a-z_0-9]+)\(")
MARK = "getpgid(2119630848)"

Run = collections.namedtuple("Run", "code output trace")
# fault and when are strace's words: "signal=KILL", "error=EIO"; "7" = the seventh such call of the process.
Injection = collections.namedtuple("Injection", "step before allowed call fault when")
# sort: "torn" (a login or a file that should not be there like that), "lock" or "other".
Fault = collections.namedtuple("Fault", "sort text")


class Bench:
    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.numbers = itertools.count()

    def new_folder(self, before):
        """A folder for logins in which a store has left `before`."""
        parent = self.folder / f"{next(self.numbers)}"
        parent.mkdir()
        if before != "none":
            shutil.copytree(self.folder / "one", parent / "logins")
        return parent / "logins"

    def run(self, step, logins):
        done = subprocess.run([self.program, step, logins], capture_output=True, text=True, timeout=60)
        return Run(done.returncode, done.stdout, "")

    def trace(self, step, logins, *what):
        trace = logins.parent / "trace"
        command = ["strace", "-o", trace, *what, self.program, step, logins]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        lines = trace.read_text(errors="replace") if trace.exists() else ""
        if MARK not in lines:
            sys.exit(f"strace could not watch a process; this test needs ptrace (kernel.yama.ptrace_scope at most 1, "
                     f"a container with the capability SYS_PTRACE):\n{done.stderr.strip()}")
        return Run(done.returncode, done.stdout, lines)


def calls_of(trace):
    """(name, which call of that name it is in the whole process) of each call between the two marks."""
    seen = collections.Counter()
    inside = False
    for line in trace.splitlines():
        call = CALL.match(line)
        if not call:
            continue
        seen[call.group(1)] += 1
        if line.startswith(MARK):
            inside = not inside
        elif inside:
            yield call.group(1), seen[call.group(1)]


def check_modes(logins):
    """Nothing in the folder may be readable by others, or be anything but a file."""
    if not logins.exists():
        return
    if logins.stat().st_mode & 0o077:
        yield Fault("torn", f"the folder has mode {stat.filemode(logins.stat().st_mode)}")
    for path in logins.iterdir():
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode) or stat.S_IMODE(mode) & ~0o600:
            yield Fault("torn", f"{path.name} has mode {stat.filemode(mode)}")


def check_after(bench, logins, allowed):
    """A process that comes after finds an allowed login, gets the lock, saves another, and leaves it tidy."""
    yield from check_modes(logins)
    after = bench.run("after", logins)
    lines = after.output.splitlines()
    if lines[:1] and lines[0] not in allowed:
        yield Fault("torn", f"the next process found {lines[0]!r} and not {' or '.join(sorted(allowed))}")
    if after.code != 0 or lines[1:] != ["9"]:
        yield Fault("lock", f"the next process could not lock and save: {after.output.strip()}")
        return
    yield from check_modes(logins)
    names = sorted(path.name for path in logins.iterdir())
    if [pathlib.Path(name).suffix for name in names] != [".json", ".lock"]:
        yield Fault("other", f"left over: {', '.join(names)}")


def check_fired(run, injection):
    if injection.fault == "signal=KILL":
        if "+++ killed by SIGKILL +++" not in run.trace or run.trace.count(MARK) != 1:
            yield Fault("other", "it was not killed")
    elif "(INJECTED)" not in run.trace:
        yield Fault("other", "nothing was injected")


def inject(bench, injection):
    """Runs the step with that injection; what was wrong then, and the run."""
    logins = bench.new_folder(injection.before)
    what = f"inject={injection.call}:{injection.fault}:when={injection.when}"
    run = bench.trace(injection.step, logins, "-e", what)
    allowed = injection.allowed
    faults = list(check_fired(run, injection))
    if run.code == 0:
        allowed = allowed[-1:]  # what it said it did, it did
        if injection.call in REPORTED and injection.fault in KINDS:
            faults.append(Fault("other", "it said nothing"))
    elif injection.fault != "signal=KILL" and not (run.code == 3 and WORDS.match(run.output)):
        faults.append(Fault("other", f"it ended with {run.code}: {run.output.strip()}"))
    faults += check_after(bench, logins, allowed)
    shutil.rmtree(logins.parent)
    return [Fault(sort, f"{injection.step}, {what}: {text}") for sort, text in faults], run


def calls_in(bench, step, before):
    run = bench.trace(step, bench.new_folder(before))
    calls = list(calls_of(run.trace))
    if run.code != 0 or len(calls) < 10:
        sys.exit(f"{step} does not work, or was not seen: {len(calls)} system calls, {run.output}")
    return calls


def at_every_call(bench):
    for step, before, after in STEPS:
        for call, number in calls_in(bench, step, before):
            for fault in KINDS:
                if fault == "signal=KILL" or call not in NEVER_FAIL:
                    yield Injection(step, before, [before, after], call, fault, number)


def unnoticed(bench):
    """Interruptions by signals, and file systems that cannot reserve room or sync a folder."""
    for step, before, after in STEPS:
        calls = calls_in(bench, step, before)
        cases = [(call, "EINTR", number) for call, number in calls if call in INTERRUPTIBLE]
        cases += [("fsync", "EINVAL", max(number for call, number in calls if call == "fsync"))]
        if step != "logout":
            cases += [("fallocate", fault, "1+") for fault in ("EINVAL", "EOPNOTSUPP")]
        for call, fault, when in cases:
            yield Injection(step, before, [after], call, f"error={fault}", when)


def refused(bench):
    """(injection, words): folders and files of another user, file systems without locks, a lock that is lost late."""
    for step in ("load", "refresh", "logout"):
        checks = [number for call, number in calls_in(bench, step, "1") if call == "geteuid"]
        for number in checks:
            words = "another user (uid "
            if number == checks[0]:
                words = "logins cannot be kept in"
            elif number == checks[-1]:
                words = ".json is a file of another user"
            yield Injection(step, "1", ["1"], "geteuid", "retval=4242", f"{number}+"), words
    for fault in ("ENOLCK", "EOPNOTSUPP", "ENOSYS"):
        yield Injection("refresh", "1", ["1"], "flock", f"error={fault}", 1), "a disk of this machine"
    calls = calls_in(bench, "refresh", "1")
    call, number = calls[[call for call, number in calls].index("renameat") - 1]
    yield Injection("refresh", "1", ["1"], call, "error=ENOENT", number), "STATE: the lock of a login was lost"


def succeed(bench, injection):
    faults, run = inject(bench, injection)
    if run.code != 0:
        faults.append(Fault("other", f"{injection}: it failed: {run.output.strip()}"))
    return faults


def be_refused(bench, injection, words):
    faults, run = inject(bench, injection)
    if run.code != 3 or words not in run.output:
        faults.append(Fault("other", f"{injection}: it was not refused: {run.code} {run.output.strip()}"))
    return faults


def order_of_writes(bench):
    """That nothing is lost when the power fails: the text is on the disk before it gets its name, the name before
    save returns. A killed process cannot show that."""
    trace = bench.trace("refresh", bench.new_folder("1")).trace
    order = r"pwrite64\((\d+), .*\n(?:.*\n)*?fsync\(\1\) += 0\n(?:.*\n)*?renameat\((\d+), .*= 0\nfsync\(\2\) += 0\n"
    return [] if re.search(order, trace) else [Fault("other", "not in this order: write, sync, rename, sync the folder")]


def main():
    if shutil.which("strace") is None:
        sys.exit("this test needs strace: apt-get install strace")
    os.umask(0)  # a store must not rely on it
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        bench = Bench(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
        first = bench.run("save", bench.folder / "one")
        if first.code != 0:
            sys.exit(f"a store does not work here: {first.output}")
        everywhere, quiet, denied = list(at_every_call(bench)), list(unnoticed(bench)), list(refused(bench))
        tasks = [pool.submit(lambda one: inject(bench, one)[0], injection) for injection in everywhere]
        tasks += [pool.submit(succeed, bench, injection) for injection in quiet]
        tasks += [pool.submit(be_refused, bench, injection, words) for injection, words in denied]
        faults = order_of_writes(bench) + [fault for task in tasks for fault in task.result()]
    for fault in faults:
        print(fault.text)
    kinds = collections.Counter(KINDS[injection.fault] for injection in everywhere)
    sorts = collections.Counter(fault.sort for fault in faults)
    print(f"store: {len(everywhere)} injections ({', '.join(f'{kind} {count}' for kind, count in kinds.items())}), "
          f"{sorts['torn']} torn, {sorts['lock']} lost locks; {len(quiet)} more went unnoticed and {len(denied)} were "
          f"refused, as they must; {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
