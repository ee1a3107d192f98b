# make run, make test: each first makes or mends the virtual environment, then does its work. make help lists the rest.

VARIANT ?= sngan
VENV ?= .venv
PYTHON ?=
VERSIONS ?= 3.14 3.13 3.12 3.11
ARGS ?=
WORKERS ?= 2
export VENV PYTHON VERSIONS

.PHONY: help setup run test lint format lock clean

help:
	@echo "make run     train: make run VARIANT=sngan ARGS='--steps=1000 --seed=1'"
	@echo "make test    the test suite, by WORKERS=2 processes: make test ARGS='-m \"not slow\"'"
	@echo "make setup   the virtual environment alone, by the newest Python found, or by PYTHON=..."
	@echo "make lint    ruff and ty; make format mends what it can"
	@echo "make lock    new versions into requirements.lock"
	@echo "make clean   removes the virtual environment and caches, never runs/"

run: setup
	@"$(VENV)/bin/python" experiments/run.py --variant=$(VARIANT) $(ARGS)

test: setup
	@"$(VENV)/bin/python" -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: setup
	@"$(VENV)/bin/python" -m ruff check && "$(VENV)/bin/python" -m ruff format --check
	@"$(VENV)/bin/python" -m ty check --output-format concise --python "$(VENV)"

format: setup
	@"$(VENV)/bin/python" -m ruff check --fix; "$(VENV)/bin/python" -m ruff format

# One list for Python 3.11 and later on every platform. Nothing of this machine is written into it.
lock: setup
	@"$(VENV)/bin/python" -m pip install -qq uv
	@"$(VENV)/bin/python" -m uv pip compile -q --upgrade --universal --python-version 3.11 --extra dev --extra tensorboard --extra video \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		pyproject.toml -o requirements.lock

clean:
	@rm -rf "$(VENV)" .cache .pytest_cache .ruff_cache
	@find jaxgan experiments tests -name __pycache__ -prune -exec rm -rf {} +

setup:
	@sh -c "$$SETUP"

# The script is plain sh, in the environment of the recipe above. $VENV/ready holds what was installed; while an installation is
# under way $VENV/unfinished stands there, so that an interrupted one is thrown away and not trusted.
define SETUP_SCRIPT
works() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for version in $VERSIONS; do
        for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
            if works "$python"; then echo "$python"; return; fi
        done
    done
    if works python3; then echo python3; fi
}

who() {
    "$1" -c 'import sys; print(sys.version)' 2>/dev/null
}

fail() {
    echo "error: $1" >&2
    exit 1
}

python=$VENV/bin/python
usable() {
    works "$python" && { [ -z "$PYTHON" ] || [ "$(who "$python")" = "$(who "$PYTHON")" ]; }
}

install() {
    if uv --version >/dev/null 2>&1; then
        uv pip install -q --python "$python" "$@" && return
        echo "setup: uv failed, trying pip"
    fi
    "$python" -m pip install -qq --disable-pip-version-check "$@"
}

[ -z "$PYTHON" ] || works "$PYTHON" || fail "PYTHON=$PYTHON does not start, is older than 3.11, or lacks venv or ensurepip"
wanted="$(cat pyproject.toml requirements.lock | cksum) $(pwd)"
if [ -e "$VENV/unfinished" ] || ! usable; then
    base=${PYTHON:-$(find_python)}
    [ -n "$base" ] || fail "no Python 3.11 or later with venv and ensurepip found; install one (on Debian python3-venv, too), or name it: PYTHON=..."
    rm -rf "$VENV"
    mkdir -p "$VENV" && : >"$VENV/unfinished" && "$base" -m venv "$VENV" || fail "$base could not make $VENV; see above"
elif [ "$(cat "$VENV/ready" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

: >"$VENV/unfinished"
if nvidia-smi >/dev/null 2>&1; then set -- -e '.[cuda]'; else set -- --no-deps -e .; fi
echo "setup: installing into $VENV for $("$python" -V); a minute or two the first time"
install -r requirements.lock && install -c requirements.lock "$@" || fail "the installation failed; see above"
echo "$wanted" >"$VENV/ready"
rm "$VENV/unfinished"
endef
SETUP := $(value SETUP_SCRIPT)
export SETUP
