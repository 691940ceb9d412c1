#!/bin/sh
# attnbench explain: the bundled sentence, tensors of one's own, the page in a real browser. Ends with "N passed, N failed,
# N skipped"; exit 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit 1
case ${BUILD:-build} in /*) attnbench=${BUILD}/attnbench ;; *) attnbench=$PWD/${BUILD:-build}/attnbench ;; esac
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT || exit 1
cd "$dir" || exit 1
passed=0 failed=0 skipped=0
check() { # $1: what; the rest: a command
  what=$1
  shift
  if "$@" > check.out 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $what"
    sed 's/^/  /' check.out
  fi
}
skip() { # $1: how many; $2: why
  skipped=$((skipped + $1))
  echo "skipped: $2"
}
refused() { # $1: what; $2: text of the message; the rest: arguments
  what=$1 text=$2
  shift 2
  "$attnbench" explain "$@" > refused.out 2> refused.err
  code=$?
  check "$what: exit code $code" [ $code = 2 ]
  check "$what: says $text" grep -q -- "$text" refused.err
  check "$what: nothing on standard output" [ ! -s refused.out ]
}
width() { LC_ALL=C.UTF-8 wc -L < "$1"; } # of the widest line, in columns

# --- the sentence
check 'the sentence' sh -c '"$1" explain --html page.html --svg picture.svg > text' run "$attnbench"
check 'sat attends to cat most' grep -Eq '^sat +[0-9.]+  cat 0\.[5-9]' text
check 'cat attends to sat most' grep -Eq '^cat +[0-9.]+  sat 0\.[5-9]' text
check '80 columns' [ "$(width text)" -le 80 ]
check 'shades' grep -q '██0.77' text
check 'the kernel agrees' grep -Eq '^Checked: weights x V and the output of (fwd|decode)_' text
check 'no colour in a file' sh -c '! grep -q "$(printf "\033")" text'
check 'the same on every ISA' sh -c 'ATTN_ISA=scalar "$1" explain | sed "\$d" | diff - head_of_text' run "$attnbench" <<END
$(sed '$d' text > head_of_text)
END
check 'ASCII' sh -c '"$1" explain --ascii > ascii && ! LC_ALL=C grep -q "[^ -~]" ascii && grep -q "@@0.77" ascii' run "$attnbench"
check 'the other head looks at the word before' sh -c '"$1" explain --head 1 | grep -Eq "^sat +[0-9.]+  cat 0.9"' run "$attnbench"
check 'causal: the first word sees itself' sh -c '"$1" explain --causal | grep -Eq "^The +0.00  The 1.00$"' run "$attnbench"
check 'another sentence' sh -c '"$1" explain "a dog slept under this tree" | grep -Eq "^slept +[0-9.]+  dog 0"' run "$attnbench"
refused 'an unknown word' "does not know 'whale'; it knows: the a" 'The whale sat'
refused 'no word' '0 words' ' '
refused 'head out of range' 'there are 1 batches of 2 heads' --head 2
refused 'half the tensors' '--k FILE is missing' -q q.npy
refused 'two texts' 'put quotes' The cat
refused 'softcap 0' 'not a positive number' --softcap 0
refused 'a folder that is not there' 'nowhere' --html nowhere/page.html
refused 'one file twice' 'different names' --html same --svg same
if [ -e /dev/full ]; then refused 'full device' '/dev/full: could not be written' --html /dev/full; fi

# Definition, by awk: softmax of 8/sqrt(8) against 0.
check 'the figure is the softmax of the documented scores' awk 'BEGIN { w = exp(8 / sqrt(8)); exit sprintf("%.2f", w / (w + 5)) != "0.77" }'

# --- page and picture without a browser
check 'the page names no other place' sh -c '! grep -Eq "https?:|src=|url\(|@import|<script" page.html'
check 'the picture names its name space only' [ "$(grep -Eo 'https?://[^"]*' picture.svg)" = http://www.w3.org/2000/svg ]
check 'the picture has a title for each cell' [ "$(grep -o '<title>sat to cat: 0.77' picture.svg | wc -l)" = 1 ]
if command -v python3 > python; then
  check 'the picture is XML' python3 -c 'import sys, xml.dom.minidom as m; m.parse("picture.svg")'
else
  skip 1 'no python3'
fi

# --- tensors
if python3 -c 'import numpy' 2> no_numpy; then
  check 'tensors' python3 - "$attnbench" << 'END'
import subprocess
import sys

import numpy as np

rng = np.random.default_rng(1)
B, Hq, Hkv, Sq, Skv, D = 2, 4, 2, 37, 300, 16
q, k, v = (rng.standard_normal(s).astype("f4") for s in ((B, Hq, Sq, D), (B, Hkv, Skv, D), (B, Hkv, Skv, D)))
for name, x in (("q", q), ("k", k), ("v", v)):
    np.save(name + ".npy", x)
with open("tokens.txt", "w", encoding="utf-8") as f:
    f.write("".join(f"t{j}\n" for j in range(Skv)))
with open("strange.txt", "wb") as f:
    f.write(b"\x1b[31mred\n<b>&amp;\n" + "日本\n".encode() + b"\xff\xfe\n" + b"x\n" * (Sq - 4))
command = [sys.argv[1], "explain", "-q", "q.npy", "-k", "k.npy", "-v", "v.npy", "--tokens", "tokens.txt", "--causal",
           "--window-left", "100", "--softcap", "3", "--batch", "1", "--head", "2", "--html", "long.html"]
text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
open("long", "w", encoding="utf-8").write(text)
s = q[1, 2].astype("f8") @ k[1, 1].astype("f8").T / np.sqrt(D)
s = 3 * np.tanh(s / 3)
position, j = np.arange(Sq)[:, None] + Skv - Sq, np.arange(Skv)
s[(j > position) | (j < position - 100)] = -np.inf
w = np.exp(s - s.max(1, keepdims=True))
w /= w.sum(1, keepdims=True)
lines = text.split("strongest keys\n")[1].splitlines()
for i in range(Sq):
    name, entropy, rest = lines[i].split(None, 2)
    assert name == f"t{Skv - Sq + i}", name
    own = -np.sum(w[i][w[i] > 0] * np.log2(w[i][w[i] > 0]))
    assert abs(float(entropy) - own) < 0.006, (i, entropy, own)
    keys = [x.split() for x in rest.split(", ")]
    order = np.argsort(-w[i])[:3]
    assert [x[0] for x in keys] == [f"t{n}" for n in order], (i, keys, order)
    assert all(abs(float(x[1]) - w[i][n]) < 0.006 for x, n in zip(keys, order)), (i, keys)
received = [x.split() for x in text.split("see a key):\n")[1].split("\n\n")[0].splitlines()]
total = w.sum(0)
assert [int(x[1]) for x in received] == list(np.argsort(-total)[:10]), received
assert all(abs(float(x[2]) - total[int(x[1])]) < 0.006 for x in received)
END
  check 'many keys: 80 columns' [ "$(width long)" -le 80 ]
  check 'many keys: a cell stands for several' grep -q 'A cell is the attention of its queries' long
  check 'strange tokens' sh -c '"$1" explain -q q.npy -k k.npy --query-tokens strange.txt --html strange.html > strange' run "$attnbench"
  check 'strange tokens reach neither terminal nor page' sh -c '! grep -q "$(printf "\033")" strange strange.html && grep -qF "&lt;b&gt;&amp;amp;" strange.html && grep -q "^?\[31mred" strange && grep -q "^日本" strange'
  head -n 5 tokens.txt > few.txt
  refused 'too few tokens' '5 tokens; there are 300 keys' -q q.npy -k k.npy --key-tokens few.txt
  refused 'a tensor that is none' 'tokens.txt' -q tokens.txt -k k.npy
else
  skip 9 'no numpy for python3 (Debian package python3-numpy)'
fi

# --- a browser: what it shows, what it complains of, what it asks for
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -n "$browser" ]; then
  browse() {
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
      --disable-background-networking --disable-component-update --user-data-dir="$dir/profile" "$@"
  }
  # Requests to places that the browser does not ask on its own account.
  asked() { grep -o '"url":"http[^"]*"' "$1" | grep -Evc 'google|gstatic|gvt1'; }
  browse --enable-logging=stderr --log-net-log="$dir/net.json" --dump-dom "file://$dir/page.html" > dom.html 2> browser.err
  check 'the browser shows the page' grep -q '<table class="heat"' dom.html
  check 'no complaint on the console' sh -c '! grep -q "CONSOLE" browser.err'
  check 'the browser looked at the page' grep -q 'page.html' net.json
  check 'the page asked the network for nothing' [ "$(asked net.json)" = 0 ]
  sed 's|<meta http-equiv[^>]*>||; s|<main>|<main><img src="http://example.invalid/x.png">|' page.html > asking.html
  browse --log-net-log="$dir/asking.json" --dump-dom "file://$dir/asking.html" > asking.out 2>&1
  check 'a page that asks is found out' [ "$(asked asking.json)" -gt 0 ]
  # The cells of the browser's table are those of the terminal, row by row.
  grep '<tr><th scope="row">' dom.html | sed -n '1,6p' | sed 's/<[^>]*>/ /g; s/  */ /g; s/^ //; s/ *$//' > shown
  sed -n '6,11p' text | sed 's/[░▒▓█]/ /g; s/  */ /g; s/ *$//' > printed
  check 'six rows' [ "$(wc -l < shown)" = 6 ]
  check 'the same numbers' diff shown printed
  browse --window-size=600,600 --screenshot="$dir/picture.png" "file://$dir/picture.svg" > svg.out 2>&1
  check 'the browser draws the picture' [ "$(wc -c < picture.png)" -gt 8000 ]
else
  skip 8 'no chromium (Debian package chromium)'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
