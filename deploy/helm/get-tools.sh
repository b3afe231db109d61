#!/usr/bin/env bash
# Builds Helm, and fetches the schemas of the custom resources that the chart uses: once, into the cache.
# Needs Go 1.21 or newer and a proxy for Go modules.
set -euo pipefail
tools=${XDG_CACHE_HOME:-$HOME/.cache}/callstream/tools

schema() {
  local module=$1 file=$2 folder
  [ ! -e "$tools/crds/${file##*/}" ] || return 0
  folder=$(go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  install -D -m 644 "$folder/$file" "$tools/crds/${file##*/}"
}

if ! [ -x "$tools/helm" ] && ! command -v go >/dev/null; then
  echo "Helm is not in $tools, and without Go it cannot be built." >&2
  exit 1
fi
if ! [ -x "$tools/helm" ]; then
  echo "Building Helm (about four minutes) ..."
  GOBIN=$tools go install helm.sh/helm/v3/cmd/helm@v3.22.0
fi
cd /
schema github.com/kedacore/keda/v2@v2.21.0 config/crd/bases/keda.sh_scaledobjects.yaml
schema github.com/kedacore/keda/v2@v2.21.0 config/crd/bases/keda.sh_triggerauthentications.yaml
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
schema $operator example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml
schema $operator example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
schema sigs.k8s.io/gateway-api@v1.6.3 config/crd/standard/gateway.networking.k8s.io_httproutes.yaml
