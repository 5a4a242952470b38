#!/bin/sh
# Writes constraints.txt: one exact version of everything that requirements.txt leads to, for
# Python 3.11 and newer on Linux and macOS alike.
set -eu

new=$(mktemp)
trap 'rm -f "$new" "$new.pins"' EXIT
# The old lock must not bind the new one, and the lock holds no local path.
grep -v -e '^-c' -e '^-e' requirements.txt >"$new"
.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file "$new.pins" "$new" pyproject.toml --extra book --extra grading
{
    echo "# The full lock, written by 'make lock' from requirements.txt; not edited by hand."
    echo "# torch itself pins the NVIDIA packages of its CUDA build; its CPU build needs none."
    # torch's local version (+cpu) differs from platform to platform, its release does not.
    sed -e 's/+cpu//' "$new.pins" | grep -v -E '^(nvidia-|cuda-|triton)'
} >"$new"
mv "$new" constraints.txt
chmod 644 constraints.txt
echo "constraints.txt holds $(grep -c '==' constraints.txt) pins."
