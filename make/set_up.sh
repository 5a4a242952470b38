#!/bin/sh
# Makes .venv and installs the pinned dependencies. make calls it, from the project's folder.
# The stamp .venv/.ready is written last, so an interrupted run is safe to repeat.
set -u

cpu_wheels=https://download.pytorch.org/whl/cpu
log=.venv/pip.log
python=.venv/bin/python

stop() {
    printf '%s\n' "$*" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# Succeeds if version $1 lies between 3.$2 and 3.$3.
between() {
    case $1 in
        3.*[!0-9]* | 3.) return 1 ;;
        3.*) [ "${1#3.}" -ge "$2" ] && [ "${1#3.}" -le "$3" ] ;;
        *) return 1 ;;
    esac
}

# Sets $chosen. Versions the lock is tested with come first, then any newer python3.
choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        found=$(version_of "$PYTHON") || stop "PYTHON=$PYTHON does not run; name a Python 3.11 or newer."
        between "$found" 11 99 ||
            stop "PYTHON=$PYTHON is Python $found; the course needs 3.11 or newer."
        chosen=$PYTHON
        return
    fi
    for chosen in python3 python3.13 python3.12 python3.11; do
        found=$(version_of "$chosen") && between "$found" 11 13 && return
    done
    chosen=python3
    found=$(version_of python3) && between "$found" 11 99 && return
    stop "The course needs Python 3.11 or newer, and python3 is ${found:-missing};" \
        "install one, or name it: make book PYTHON=/path/to/python3.12"
}

# Stops unless $1 MiB are free here; says nothing where df cannot tell.
need_space() {
    free=$(df -Pk . 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
    case $free in
        '' | *[!0-9]*) return ;;
    esac
    [ "$free" -ge "$1" ] ||
        stop "Not enough disk: the installation needs $1 MiB in $PWD, and $free MiB are free."
}

# Says in one sentence why pip stopped. pip's log holds every detail.
explain() {
    if grep -q 'No space left on device' "$log" .venv/pip.err; then
        stop "The disk is full: free about 3 GiB and run the command again."
    fi
    # Index pages, packages and a build's own requirements each fail with other words.
    if grep -h -E 'Could not fetch URL|^ERROR.*(timed out|[Cc]onnection)|Retry.total=0' \
        "$log" .venv/pip.err | grep -qv /whl/cpu/; then
        stop "The package index cannot be reached: check the network (or proxy) and run the" \
            "command again; details in $log."
    fi
    grep '^ERROR' .venv/pip.err | head -n 3 >&2
    stop "pip could not install the dependencies with Python $found; details in $log."
}

pip_install() {
    # pip's own progress on a terminal, two lines in all elsewhere.
    if [ -t 1 ]; then quiet=; else quiet='--quiet --progress-bar off'; fi
    # shellcheck disable=SC2086 # no word at all on a terminal
    PIP_USER=0 "$python" -m pip --disable-pip-version-check --log "$log" install \
        $quiet "$@" 2>.venv/pip.err
}

make_venv() {
    "$chosen" -m venv --clear .venv 2>/dev/null >/dev/null ||
        stop "$chosen cannot make a virtual environment; on Debian and Ubuntu, install python3-venv."
    echo "Made .venv with Python $found."
}

install_all() {
    : >"$log"
    # torch first and alone: the CPU build is a tenth of the size of the one for NVIDIA cards,
    # and no other package asks that index. Where it is out of reach, pip goes on without it.
    echo "Installing torch (about 200 MB) ..."
    pip_install --no-deps --constraint constraints.txt --retries 0 --timeout 5 \
        --extra-index-url "$cpu_wheels" torch ||
        pip_install --no-deps --constraint constraints.txt --retries 2 --timeout 15 \
            --extra-index-url "$cpu_wheels" torch || explain
    if grep -q '^Requires-Dist: nvidia' .venv/lib/python*/site-packages/torch-*.dist-info/METADATA; then
        echo "The CPU build of torch is out of reach; installing the larger build for NVIDIA cards."
        need_space 8000
    fi
    echo "Installing the other dependencies (1 to 5 minutes) ..."
    pip_install --requirement requirements.txt || explain
    "$python" -m pip --disable-pip-version-check check >/dev/null
}

case $(uname -s)-$(uname -m) in
    MINGW* | MSYS* | CYGWIN*) stop "On Windows, run the commands inside WSL (wsl --install)." ;;
    Darwin-x86_64)
        stop "PyTorch is no longer built for Macs with an Intel processor; open the course on Binder." ;;
esac

choose_python
need_space 3000
rm -f .venv/.ready
reused=
if [ -z "${PYTHON:-}" ] || [ "$(version_of "$python")" = "$found" ]; then
    held=$(version_of "$python") && between "$held" 11 99 &&
        "$python" -m pip --version >/dev/null 2>&1 && reused=yes
fi
if [ -n "$reused" ]; then found=$held; else make_venv; fi
if ! install_all; then
    [ -n "$reused" ] || stop "The installed packages disagree; .venv/bin/python -m pip check says where."
    echo "What was in .venv does not fit together; starting anew."
    choose_python
    make_venv
    install_all || stop "The installed packages disagree; .venv/bin/python -m pip check says where."
fi
rm -f "$log" .venv/pip.err
touch .venv/.ready
