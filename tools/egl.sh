#!/usr/bin/env bash
# Makes sure that the renderer finds an OpenGL driver through EGL. Where it does not, Mesa's is installed if that is
# allowed (apt-get, as root); otherwise one line says which packages to install, and the exit code is 2.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(libegl1 libgl1 libgl1-mesa-dri)

# Leaves with 0 where OpenGL works, and with a traceback where not even that can be told.
try_egl() {
    local code=0
    said=$(.venv/bin/python tools/check_egl.py 2>&1) || code=$?
    case $code in
        0) exit 0 ;;
        2) ;;
        *) echo "$said" >&2; exit "$code" ;;
    esac
}

install_mesa() {
    echo "No OpenGL driver yet; installing ${packages[*]} ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" < /dev/null
}

try_egl
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null && install_mesa; then try_egl; fi

echo "batchsim: ${said%%. *}. Install Mesa's driver (Debian: apt-get install ${packages[*]}), or NVIDIA's with EGL." >&2
exit 2
