#!/usr/bin/env bash
# Installs Restate's server and SDKs from the registries into the folder that is given, and builds the services.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mkdir -p "$1"
cd "$1"

[ -d node_modules/@restatedev ] || npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
    @restatedev/restate-server@1.7.12
[ -x venv/bin/python ] || { python3 -m venv venv && venv/bin/pip install --quiet \
    "restate-sdk[serde]==1.3.0" hypercorn uvloop; }
cp "$here/services.py" services.py
CARGO_TARGET_DIR="$PWD/rust" cargo build --quiet --release --manifest-path "$here/rust/Cargo.toml"
