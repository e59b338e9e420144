#!/bin/sh
# Makes sure that `cargo`, `rustfmt` and `clippy` run in node/, whose rust-toolchain.toml names the toolchain.
# A machine without them gets rustup into CARGO_HOME (by default ~/.cargo); no shell profile is edited.
set -eu
cd "$(dirname "$0")/../node"
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
export PATH

channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
minimum=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)

# A cargo that did not come from rustup ignores rust-toolchain.toml, so its version is looked at.
is_ready() {
    version=$(cargo --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$version" ] || return 1
    cargo fmt --version >/dev/null 2>&1 || return 1
    cargo clippy --version >/dev/null 2>&1 || return 1
    [ "$(printf '%s\n%s\n' "$minimum" "$version" | sort -V | head -n 1)" = "$minimum" ]
}

fetch() {
    if command -v curl >/dev/null 2>&1; then
        curl --proto '=https' --tlsv1.2 --silent --show-error --fail "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget --https-only --quiet --output-document=- "$1"
    else
        "$PYTHON" -c 'import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())' "$1"
    fi
}

is_ready && exit 0

if ! command -v rustup >/dev/null 2>&1; then
    echo "Rust $channel is missing; installing rustup into ${CARGO_HOME:-$HOME/.cargo} ..." >&2
    installer=$(mktemp)
    trap 'rm -f "$installer"' EXIT
    if ! fetch https://sh.rustup.rs >"$installer" || ! sh "$installer" -y --no-modify-path --default-toolchain none; then
        echo "Rust could not be installed. Install Rust $channel with rustfmt and clippy (https://rustup.rs), then run again." >&2
        exit 1
    fi
fi
# Invariant: the toolchain installed is the one that rust-toolchain.toml names, with the components listed there.
rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy --no-self-update || {
    echo "rustup could not install Rust $channel. Check the network, or install it by hand, then run again." >&2
    exit 1
}
is_ready || {
    echo "cargo still does not run in node/ with Rust $minimum or later. Run 'cd node && cargo --version' to see why." >&2
    exit 1
}
