#!/usr/bin/env bash
# Installs the providers' own SDKs for Node from npm, once, into the cache.
set -euo pipefail
tools=${XDG_CACHE_HOME:-$HOME/.cache}/callstream/sdks
[ ! -d "$tools/node_modules/twilio" ] || [ ! -d "$tools/node_modules/telnyx" ] || exit 0
echo "Installing the SDKs of Twilio and Telnyx for Node ..."
npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$tools" twilio@6.3.1 telnyx@7.24.0
