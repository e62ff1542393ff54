#!/usr/bin/env bash
# Builds what would be published, checks its description, installs it in an empty environment, and
# uses it in an empty folder; then what `make demo` shows is pasted into a shell.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1
cd "$top"
rm -rf dist
"$python" -m venv "$dir/tools"
"$dir/tools/bin/python" -m pip install build twine 'readme_renderer[md]'
# The wheel is built from the source archive, so that neither lacks anything.
"$dir/tools/bin/python" -m build --outdir dist . > "$dir/build.log" || { cat "$dir/build.log"; exit 1; }
ls -l dist | awk 'NR > 1 {printf "%s %.1f MB\n", $NF, $5 / 1e6}'
"$dir/tools/bin/python" -m twine check --strict dist/*
"$python" -m venv "$dir/env"
"$dir/env/bin/python" -m pip install "$(ls "$top"/dist/galago-*.whl)[serve]"
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
text=$("$galago" describe "$dir"/note.* --preset read)
echo "from the wheel: $text"
[ -n "$text" ]
"$galago" describe "$dir"/note.* --json | "$dir/env/bin/python" -m json.tool > /dev/null
"$dir/env/bin/python" - "$galago" <<'PAGE'
import re, subprocess, sys, urllib.request
server = subprocess.Popen([sys.argv[1], "serve", "--port", "0"], stderr=subprocess.PIPE, text=True)
try:
    address = next(found[0] for line in server.stderr if (found := re.search(r"http://[\d.]+:\d+", line)))
    html = urllib.request.urlopen(address).read().decode()
    script = re.search(r'src="\./(assets/[^"]+\.js)"', html)[1]
    print(f"the page's script: {len(urllib.request.urlopen(f'{address}/{script}').read())} bytes")
finally:
    server.terminate()
    server.wait(30)
PAGE
[ -z "$(ls -A .)" ] || { echo "left in the working folder: $(ls -A)"; exit 1; }
du -sm "$dir/env" | awk '{print "installed environment: " $1 " MB"}'
cd "$top"
"$dir/env/bin/python" tools/demo.py > "$dir/shown" 2> "$dir/told" || { cat "$dir/shown" "$dir/told"; exit 1; }
grep '^  \$ ' "$dir/shown" | sed 's/^  \$ //' | grep -v ' pull ' > "$dir/pasted"
bash -euo pipefail "$dir/pasted" > "$dir/answers" 2> "$dir/told"
echo "pasted: $(wc -l < "$dir/pasted") commands, $(wc -l < "$dir/answers") lines of answers"
# Every extra is told by its packages' names: galago's own is somebody else's on an index.
for extra in video heic mcp; do
  line=$("$dir/env/bin/python" -c "from galago.errors import install_line; print(install_line('$extra'))")
  case "$line" in "$dir/env/bin/python -m pip install '"*) ;; *) echo "odd: $line"; exit 1 ;; esac
done
