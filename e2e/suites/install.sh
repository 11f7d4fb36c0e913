#!/usr/bin/env bash
# Installs what the checkout needs to run: npm and Go from Debian where that is possible, then the packages that
# package-lock.json names, among them the Node.js that runs everything else. Does nothing when all of it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

# npm before 11.16 does not know allowScripts of package.json, which refuses onnxruntime-node's download of GPU libraries.
export ONNXRUNTIME_NODE_INSTALL=skip

missing=()
packages=()

require() { # <command> <Debian package> <what for>
  command -v "$1" > /dev/null && return
  missing+=("  $1: $3")
  packages+=("$2")
}

require npm npm 'Node.js 20 or newer with npm, to fetch the packages (https://nodejs.org)'
require go golang-go 'Go 1.24 or newer, to build Kubernetes for the test clusters (https://go.dev/dl)'
require git git 'to check generated files'

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

installed() { node_modules/.bin/node e2e/suites/installed.ts; }

if installed 2> /dev/null; then exit 0; fi
printf 'Installing the packages of package-lock.json\n' >&2
npm ci --loglevel=error
installed
