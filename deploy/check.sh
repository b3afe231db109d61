#!/usr/bin/env bash
# Checks what is in deploy/ with the tools that will read it. A tool that is not installed is named and skipped;
# with CALLSTREAM_REQUIRE_TOOLS set, as in CI, it is a failure.
#
# A new check is one line at the end:  check NAME TOOL HOW_TO_GET_IT COMMAND...
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
failed=0

check() {
  local name=$1 tool=$2 source=$3 output
  shift 3
  if ! command -v "$tool" >/dev/null; then
    echo "$name: skipped: $tool is not installed ($source)"
    [ -z "${CALLSTREAM_REQUIRE_TOOLS:-}" ] || failed=1
  elif output=$("$@" 2>&1); then
    echo "$name: ok"
  else
    printf '%s: failed\n%s\n' "$name" "$output"
    failed=1
  fi
}

prometheus="Debian: apt-get install prometheus"
alertmanager="Debian: apt-get install prometheus-alertmanager"
check "alert rules" promtool "$prometheus" promtool check rules deploy/prometheus/*.rules.yml
check "Prometheus configuration" promtool "$prometheus" promtool check config deploy/prometheus/prometheus.yml
check "tests of the alert rules" promtool "$prometheus" promtool test rules tests/deploy/rules/*.test.yml
check "Alertmanager configuration" amtool "$alertmanager" amtool check-config deploy/alertmanager/alertmanager.yml
route() { # SEVERITY RECEIVER
  check "Alertmanager's route of $1" amtool "$alertmanager" \
    amtool config routes test --config.file=deploy/alertmanager/alertmanager.yml --verify.receivers="$2" severity="$1"
}
route critical pages
route warning messages
route info messages

# In a root of their own, where what they start exists. A misspelt line is only a warning there: no output is good.
verify_units() {
  local root said
  root=$(mktemp -d)
  mkdir -p "$root/opt/callstream/bin" "$root/etc/systemd/system" "$root/usr/lib/systemd" "$root/bin"
  cp /bin/true "$root/opt/callstream/bin/callstream"
  cp /bin/kill "$root/bin/"
  cp -r /usr/lib/systemd/system "$root/usr/lib/systemd/"
  cp deploy/systemd/*.service "$root/etc/systemd/system/"
  said=$(systemd-analyze verify --man=no --root="$root" callstream-{gateway,worker@1,poller,notify,archive,api}.service 2>&1)
  rm -rf "$root"
  echo "$said"
  [ -z "$said" ]
}
systemd="Debian: apt-get install systemd"
check "systemd units" systemd-analyze "$systemd" verify_units
# The exposure of a unit is at most 3.0 of 10.
for unit in deploy/systemd/*.service; do
  check "hardening of $(basename "$unit")" systemd-analyze "$systemd" \
    systemd-analyze security --offline=true --threshold=30 --no-pager "$unit"
done

check "Dockerfile" hadolint "make check installs it" hadolint deploy/Dockerfile

check "compose file" check-jsonschema "make check installs it" \
  check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml

# Debian has no package of Helm: CI runs this where `make deploy-check` has built it.
PATH=$PATH:${XDG_CACHE_HOME:-$HOME/.cache}/callstream/tools
for values in deploy/helm/callstream/ci/*-values.yaml; do
  CALLSTREAM_REQUIRE_TOOLS="" check "Helm chart, $(basename "$values" -values.yaml)" helm "make deploy-check builds it" \
    helm lint --strict --quiet deploy/helm/callstream -f "$values"
done

exit "$failed"
