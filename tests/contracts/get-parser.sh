#!/usr/bin/env bash
# Installs AsyncAPI's own parser from npm, once, into the cache.
set -euo pipefail
tools=${XDG_CACHE_HOME:-$HOME/.cache}/callstream/tools
[ ! -d "$tools/node_modules/@asyncapi/parser" ] || exit 0
echo "Installing AsyncAPI's parser ..."
npm install --silent --no-save --no-audit --no-fund --prefix "$tools" @asyncapi/parser@3.6.6
