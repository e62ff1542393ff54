#!/usr/bin/env bash
# Builds the wheel, installs it in an empty environment, and uses it in an empty folder.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1
cd "$top"
rm -rf dist
"$python" -m pip wheel --no-deps --wheel-dir dist . 
ls -l dist | awk 'NR > 1 {printf "%s %.1f MB\n", $NF, $5 / 1e6}'
"$python" -m venv "$dir/env"
"$dir/env/bin/python" -m pip install dist/galago-*.whl
mkdir "$dir/empty" "$dir/home"
cp examples/note.* "$dir/"
cd "$dir/empty"
export HOME="$dir/home"
unset PYTHONPATH
galago=$dir/env/bin/galago
"$galago" --version
"$galago" models > /dev/null
# A directory of the source tree must not stand in for a file missing from the wheel.
"$dir/env/bin/python" -c 'import galago; assert "site-packages" in galago.__file__, galago.__file__'
# The page is built, not in git.
"$dir/env/bin/python" -c 'from galago.server.settings import STATIC as page; assert (page / "index.html").is_file(), page'
text=$("$galago" describe "$dir"/note.* --preset read)
echo "from the wheel: $text"
[ -n "$text" ]
"$galago" describe "$dir"/note.* --json | "$dir/env/bin/python" -m json.tool > /dev/null
[ -z "$(ls -A .)" ] || { echo "left in the working folder: $(ls -A)"; exit 1; }
du -sm "$dir/env" | awk '{print "installed environment: " $1 " MB"}'
