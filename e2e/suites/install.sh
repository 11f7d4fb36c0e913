#!/usr/bin/env bash
# install.sh [cluster]: brings what the checkout needs: npm (and, for clusters, Go) from Debian where that is possible,
# then the packages that package-lock.json names, among them the Node.js that runs everything else, and compiles the
# kernels of merging. Does nothing when all of it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

# npm before 11.16 does not know allowScripts of package.json, which refuses onnxruntime-node's download of GPU libraries.
export ONNXRUNTIME_NODE_INSTALL=skip

missing=()
packages=()

need() { # <command> <Debian packages> <what for>
  command -v "$1" > /dev/null && return
  missing+=("  $1: $3")
  # shellcheck disable=SC2206 # a list of words
  packages+=($2)
}

need npm npm 'Node.js 20 or newer with npm, to fetch the packages (https://nodejs.org)'
need git git 'to tell generated files that changed'
need cc 'gcc libc6-dev' 'a C compiler, for the kernels of merging'
if [ "${1-}" = cluster ]; then need go golang-go 'Go 1.21 or newer, to build Kubernetes (https://go.dev/dl)'; fi

if [ ${#missing[@]} -gt 0 ]; then
  printf 'Not found on this machine:\n' >&2
  printf '%s\n' "${missing[@]}" >&2
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    printf 'Install them and run make again.\n' >&2
    exit 1
  fi
  printf 'Installing from Debian: %s\n' "${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
fi

if [ "${1-}" = cluster ]; then
  # Go 1.21 was the first to fetch the toolchain that a go.mod asks for.
  version=$(go env GOVERSION)
  if ! [[ $version =~ ^go1\.([0-9]+) ]] || [ "${BASH_REMATCH[1]}" -lt 21 ]; then
    printf 'go is %s, 1.21 or newer is needed to build Kubernetes: see https://go.dev/dl\n' "$version" >&2
    exit 1
  fi
fi

installed() { node_modules/.bin/node e2e/suites/installed.ts; }

if ! installed 2> /dev/null; then
  printf 'Installing the packages of package-lock.json\n' >&2
  npm ci --loglevel=error
  installed
fi
node_modules/.bin/node federation/aggregation/native/build.ts
