#!/usr/bin/env bash
# Makes sure that the renderer finds an OpenGL driver through EGL. Where it does not, Mesa's is installed if that is
# allowed (apt-get, as root); otherwise one line says which packages to install, and the exit code is 2.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(libegl1 libgl1 libgl1-mesa-dri)

try_egl() { .venv/bin/python tools/check_egl.py; }

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; }

if said=$(try_egl 2>&1); then exit 0; fi

if may_install; then
    echo "No OpenGL driver yet; installing ${packages[*]} ..."
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" < /dev/null; then
        if said=$(try_egl 2>&1); then exit 0; fi
    fi
fi

echo "batchsim: ${said##*$'\n'} Debian's packages: ${packages[*]}." >&2
exit 2
