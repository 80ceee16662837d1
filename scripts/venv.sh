# Sourced by the scripts beside this file: virtual environments with ROME installed in them.

# Print the first Python on this machine that is 3.11 or newer and can make virtual environments; PYTHON overrides.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "ROME needs Python 3.11 or newer with the venv module (on Debian: apt-get install python3-venv);" \
         "set PYTHON to one if it has an unusual name." >&2
    return 1
}

# make_venv DIRECTORY REQUIREMENT…: a virtual environment with this checkout (editable) and the requirements in it.
# One that was made for the same metadata and requirements before is used as it is.
make_venv() {
    local directory=$1 python wanted
    shift
    python=$(find_python)
    wanted=$("$python" --version; cat setup.cfg pyproject.toml; printf '%s\n' "$PWD" "$@")
    if [ "$(cat "$directory/made-for" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    echo "== making $directory with $("$python" --version): pip install $*"
    "$python" -m venv --clear "$directory"
    "$directory/bin/python" -m pip install --disable-pip-version-check --progress-bar on "$@"
    echo "$wanted" > "$directory/made-for"
}
