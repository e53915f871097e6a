#!/usr/bin/env bash
# Checks that OpenGL works through EGL. If it does not, installs Mesa's driver where that is possible (apt-get, as root);
# otherwise prints one line with the packages to install and exits with code 2.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(libegl1 libgl1 libgl1-mesa-dri)

# Exits with 0 if OpenGL works, with a traceback if the check itself fails; otherwise returns.
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
    echo "No OpenGL driver found; installing ${packages[*]} ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" < /dev/null
}

try_egl
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null && install_mesa; then try_egl; fi

echo "batchsim: ${said%%. *}. Install Mesa's driver (Debian: apt-get install ${packages[*]}), or NVIDIA's with EGL." >&2
exit 2
