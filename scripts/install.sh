#!/bin/sh
# Build .venv in the checkout: `scripts/install.sh [PYTHON]`, quick and silent when nothing has changed.
#
# PYTHON names an interpreter (python3.13, /usr/bin/python3). Without it a .venv of any supported version is kept, and
# a new one is built with the first supported interpreter found. The packages are exactly those of requirements.lock,
# each compared with its hash; the project itself is installed editable. Two stamps in .venv say what it was built from.
set -eu
cd "$(dirname "$0")/.."
wanted=${1-}
venv=.venv

say() { printf '%s\n' "install: $*" >&2; }
fail() { say "$*"; exit 1; }

# supported INTERPRETER: it runs, and it is Python 3.11 or newer
supported() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# in_pyenv NAME: the interpreter that pyenv has for NAME (python3.12) although no shim of it is active
in_pyenv() {
    command -v pyenv >/dev/null 2>&1 || return 1
    prefix=${1#python}
    version=$(pyenv versions --bare 2>/dev/null | grep -E "^$(printf %s "$prefix" | sed 's/\./\\./g')(\.[0-9]+)*$" |
        sort -V | tail -n 1)
    [ -n "$version" ] || return 1
    printf '%s\n' "$(pyenv prefix "$version")/bin/python"
}

apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    say "apt-get install $*"
    apt-get update -q </dev/null >&2 || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" </dev/null >&2
}

# find_python NAME: print the path of an interpreter that runs
find_python() {
    if supported "$1"; then command -v "$1"; return; fi
    case $1 in python3.[0-9]*) ;; *) return 1 ;; esac
    if found=$(in_pyenv "$1") && supported "$found"; then printf '%s\n' "$found"; return; fi
    if apt_install "$1" "$1-venv" && supported "/usr/bin/$1"; then printf '%s\n' "/usr/bin/$1"; return; fi
    return 1
}

choose_python() {
    if [ -n "$wanted" ]; then
        find_python "$wanted" || fail "no working $wanted (3.11 or newer) here, in pyenv or in the system's packages"
        return
    fi
    for name in python3 python3.12 python3.11 python3.13; do
        if supported "$name"; then command -v "$name"; return; fi
    done
    for name in python3.12 python3.11 python3.13; do
        if find_python "$name"; then return; fi
    done
    fail "Python 3.11 or newer is needed; name one with PYTHON=..."
}

pip_install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

# The newest Pythons have none yet: there it is built against the system's LevelDB.
plyvel_has_wheel() {
    pip_install --dry-run --no-deps --only-binary :all: "$(sed -n 's/^\(plyvel==[^ ]*\).*/\1/p' requirements.lock)" >/dev/null 2>&1
}

# The headers of LevelDB and of this Python are found by a C++ compiler.
plyvel_compiles() {
    include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    printf '#include <leveldb/db.h>\n#include <Python.h>\n' | c++ -x c++ -E -I "$include" - >/dev/null 2>&1
}

# compiles NAME: it runs, and finds the headers of the C library
compiles() { printf '#include <dlfcn.h>\n' | "$1" -E - >/dev/null 2>&1; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }
digest_of() { cat "$@" | cksum; }

# Two of these at once (make run beside make test) would build over each other.
if command -v flock >/dev/null 2>&1; then
    exec 9>.venv.lock
    flock 9
fi

built_from="$(pwd -P) $(digest_of requirements.lock)"
if [ -z "$wanted" ] && supported "$venv/bin/python"; then
    version=$(version_of "$venv/bin/python")
else
    python=$(choose_python)
    version=$(version_of "$python")
fi

if [ "$(cat "$venv/stamp-packages" 2>/dev/null)" != "$version $built_from" ] || ! supported "$venv/bin/python"; then
    python=${python-$(choose_python)}
    version=$(version_of "$python")
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        apt_install "python$version-venv" || fail "$python has no venv module: install python$version-venv"
    fi
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
        fail "$venv exists and is no virtual environment: move it away"
    fi
    # Tests compile small libraries that record system calls, or let them fail.
    if ! compiles cc || ! compiles gcc; then
        apt_install gcc libc6-dev || say "no C compiler: the tests that need gcc will skip"
    fi
    say "building $venv with Python $version"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    if ! plyvel_has_wheel; then
        plyvel_compiles || apt_install g++ libleveldb-dev || say "what plyvel is built with cannot be installed"
        plyvel_compiles || apt_install "python$version-dev" || true
        plyvel_compiles || fail "plyvel has no wheel for this Python: a C++ compiler, Python's headers and libleveldb-dev are needed"
        say "building plyvel"
    fi
    pip_install --require-hashes -r requirements.lock || fail "packages missing"
    printf '%s\n' "$version $built_from" >"$venv/stamp-packages"
fi

project=$(digest_of pyproject.toml proofs/tlog_proofs/__init__.py)
if [ "$(cat "$venv/stamp-project" 2>/dev/null)" != "$project" ]; then
    pip_install --no-deps --no-build-isolation --editable .
    printf '%s\n' "$project" >"$venv/stamp-project"
fi
