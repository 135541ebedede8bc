# Sourced by tests/run and examples/quickstart: puts what they need onto a Debian machine, once.
# Decides nothing about what is built or run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/venv

say() { printf '%s\n' "$*"; }

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# need_packages NAME…: Debian packages that must be installed.
need_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local install="apt-get install -y ${missing[*]}" as_root=()
  command -v apt-get >/dev/null || die "These Debian packages are needed, and this machine has no apt-get: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "Please run this as root, then start again:
  apt-get update && $install"
    as_root=(sudo)
  fi
  say "Installing Debian packages: ${missing[*]}"
  local log=$root/build/apt.log
  mkdir -p "$root/build"
  if ! { "${as_root[@]}" apt-get update -q && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" $install --no-install-recommends -q; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "Installing failed (all of it: $log). Please run as root, then start again:
  apt-get update && $install"
  fi
}

# need_python REQUIREMENTS…: the virtual environment build/venv with these requirement files in it.
need_python() {
  local stamp=$venv/requirements.sum sum
  sum=$(cat "$@" | sha256sum)
  [ -f "$stamp" ] && grep -qxF "$sum" "$stamp" && return
  say "Installing Python packages into build/venv"
  [ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$venv" || die "python3 -m venv failed"
  local files=() file
  for file in "$@"; do files+=(-r "$file"); done
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "${files[@]}" || die "pip install failed"
  printf '%s\n' "$sum" >>"$stamp"
}

# build PRESET [TARGET…]: configures if needed and builds; shows the compiler's words only when it fails.
build() {
  local preset=$1 log
  shift
  log=$root/build/$preset.log
  mkdir -p "$root/build"
  say "Building ($preset)"
  if ! { (cd "$root" && cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}); } >"$log" 2>&1; then
    grep -E 'error|Error|FAILED' "$log" | head -n 20 >&2
    tail -n 20 "$log" >&2
    die "The build failed; all of it: $log"
  fi
}

library_packages="build-essential cmake ninja-build pkg-config libcurl4-openssl-dev libssl-dev libsimdjson-dev libwslay-dev libhiredis-dev"
python_packages="python3 python3-venv"
keyring_packages="libsecret-1-0 libsecret-tools gnome-keyring dbus"
