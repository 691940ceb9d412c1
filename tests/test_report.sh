#!/bin/sh
# attnbench report: a page of results, in a real browser where there is one, and what becomes of files that are none.
#
# usage: BUILD=build sh tests/test_report.sh
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/shell.sh
tests=$top/tests
export PYTHONDONTWRITEBYTECODE=1
# refused NAME CODE PATTERN COMMAND...: the code, a message, and no page (an older one stays)
refused() {
  refusal=$1 code=$2 pattern=$3
  shift 3
  printf precious > old.html
  "$@" > out 2> err
  got=$?
  check "$refusal: exit code $got, wanted $code" [ $got = "$code" ]
  check "$refusal: says $pattern" grep -q -- "$pattern" err
  check "$refusal: the older page is whole, and nothing else is there" sh -c '[ "$(cat old.html)" = precious ] && ! ls -A | grep -q "^\.attnbench"'
}

check 'a run to report' "$attnbench" run --preset quick --filter '/Sq:512/.*T:1' --repetitions 2 --min-time 0.001 --json run.json
check 'report of it' "$attnbench" report run.json -o run.html
check 'a page' grep -q '^<!DOCTYPE html>' run.html
check 'standard input' sh -c '"$1" report - -o stdin.html < run.json' run "$attnbench"
check 'to standard output' sh -c '"$1" report run.json -o /dev/stdout | tail -n 1 | grep -q "^</html>"' run "$attnbench"
check 'the default name' sh -c '"$1" report run.json && test -s report.html' run "$attnbench"
check 'what head reads' sh -c '{ "$1" report run.json -o /dev/stdout; echo $? >code; } | head -n 1 && [ "$(cat code)" = 2 -o "$(cat code)" = 0 ]' run "$attnbench"

# --- files that are none
head -c 2000 run.json > cut.json
echo '{"name": "package", "version": 1}' > foreign.json
: > empty.json
printf '\000\377\001' > binary.json
for kind in cut foreign empty binary; do refused "a $kind file" 2 "$kind.json: " "$attnbench" report $kind.json -o old.html; done
refused 'a file that is not there' 2 'absent.json: cannot be opened' "$attnbench" report absent.json -o old.html
refused 'a folder' 2 'cannot be read: Is a directory' "$attnbench" report . -o old.html
refused 'the second of two is bad' 2 'cut.json: ' "$attnbench" report run.json cut.json -o old.html
refused 'no file' 2 'a file of results is needed' "$attnbench" report -o old.html
refused 'a folder that is not there' 2 'no/such/page.html: cannot be written' "$attnbench" report run.json -o no/such/page.html
refused 'a full disk' 2 'old.html: could not be written completely' sh -c 'ulimit -f 8; "$1" report run.json -o old.html' run "$attnbench"
[ -e /dev/full ] && refused 'a full device' 2 'No space left' "$attnbench" report run.json -o /dev/full

if ! command -v python3 > /dev/null; then
  skip 'no python3: hostile texts and the browser'
  finish
fi
make() { python3 "$tests/report_data.py" "$@"; }
make hostile.json 30 --hostile
make quick.json 42 --repetitions 5
make thousand.json 1000
make arm.json 84 --cpu 'Neoverse V2' --isa neon --threads 1,2,4,8 --speed 1.3
make zen.json 140 --threads 1,2,4,8
make method.json 42 --method 2
for page in hostile quick thousand; do check "report of $page" "$attnbench" report $page.json -o $page.html; done
odd=$(printf 'odd\377"<b>.json')
cp quick.json "$odd"
check 'a file name of any bytes' "$attnbench" report "$odd" --title "$odd" -o odd.html
check 'report of two machines' "$attnbench" report arm.json zen.json -o two.html
check 'mixed methods are told' sh -c '"$1" report quick.json method.json -o mixed.html 2>&1 | grep -q "^Mixed methods: .*version 1 .*version 2"' run "$attnbench"
check 'and stand on the page' grep -q '"warnings":"Mixed methods' mixed.html
# Three scripts and their ends, one of them data, whatever the texts of the file.
check 'no text of a file becomes a script' [ "$(grep -o '<script' hostile.html | wc -l)" = "$(grep -o '<script' quick.html | wc -l)" ]
check 'nor ends one' [ "$(grep -o '</script' hostile.html | wc -l)" = "$(grep -o '</script' quick.html | wc -l)" ]
check 'nor an element' sh -c '! grep -q "<img" hostile.html'
check 'the page of the quick preset is below 1 MiB' [ "$(wc -c < quick.html)" -lt 1048576 ]

# --- a result is a bundle: what the machine is goes with it
cat > bundle.py << 'END'
import json, sys, xml.dom.minidom
machine = json.load(open("run.json"))["machine"]
assert machine["topology"]["cores"] > 0 and machine["topology"]["l1d_bytes"] >= 0
assert {f["check"] for f in machine["doctor"]} > {"governor", "load"} and all(set(f) == {"check", "level", "text", "remedy"} for f in machine["doctor"])
text = machine.get("hwloc_xml")
if text is None:
    assert machine["hwloc_xml_missing"]
    sys.exit()
xml.dom.minidom.parseString(text)
assert "Serial" not in text and "UUID" not in text
open("machine.xml", "w").write(text)
END
check 'the bundle' python3 bundle.py
if [ -s machine.xml ] && command -v lstopo-no-graphics > /dev/null; then
  check 'hwloc reads its XML' sh -c 'lstopo-no-graphics -i machine.xml --of console | grep -q PU'
else skip 'no lstopo, or a build without hwloc'; fi

# --- changed at random, a file is a good one or an error, for report and compare
cat > fuzz.py << 'END'
import random, subprocess, sys
rng, good = random.Random(5), open("run.json", "rb").read()
codes = []
for i in range(120):
    bad = bytearray(good)
    harmless = i % 10 == 0  # else it would hang on the file's length how many are good
    if harmless:
        at = bad.index(b"\n", rng.randrange(len(bad) // 2))
        bad[at:at] = b" " * rng.randint(1, 9)
    for _ in range(0 if harmless else rng.randint(1, 4)):
        at, what = rng.randrange(len(bad)), rng.randrange(5)
        if what == 0:
            bad[at] = rng.randrange(256)
        elif what == 1:
            bad[at:at + 1] = rng.choice([b'"', b"{", b"}", b"[", b"]", b",", b":", b"-", b"9" * 400, b"1e999", b"null", b"\\u0000", b"</script>"])
        elif what == 2:
            del bad[at:at + rng.randint(1, 300)]
        elif what == 3:
            bad[at:at] = bad[at:at + rng.randint(1, 300)]
        else:
            del bad[at:]
    open("fuzzed.json", "wb").write(bad)
    for command, fine in ((["report", "fuzzed.json", "-o", "fuzzed.html"], (0, 2)), (["compare", "run.json", "fuzzed.json"], (0, 1, 2, 5))):
        done = subprocess.run([sys.argv[1], *command], capture_output=True)
        assert done.returncode in fine, (i, command, done)
        assert done.returncode != 2 or done.stderr.strip(), (i, command, done)
        codes.append(done.returncode)
assert codes.count(2) > 100 and codes.count(0) + codes.count(5) >= 24, codes
END
check 'files changed at random' python3 fuzz.py "$attnbench"

# --- a history: slower from the 10th run on
python3 "$tests/report_data.py" base.json 12
cat > runs.py << 'END'
import json, random, subprocess, sys
rng, base = random.Random(1), json.load(open("base.json"))
for i in range(20):
    run = json.loads(json.dumps(base))
    run["context"].update(date=f"2026-01-{i + 1:02d}T12:00:00+00:00", commit=f"{i:012x}")
    for row in run["benchmarks"]:
        row["real_time"] *= rng.gauss(1, 0.003) * (1.1 if i >= 10 and "avx512/" in row["name"] else 1)
    json.dump(run, open("one.json", "w"))
    subprocess.run([sys.argv[1], "history", "add", "one.json", "--db", "h.db"], check=True, stdout=subprocess.DEVNULL)
END
check 'a history is filled' python3 runs.py "$attnbench"
check 'report with it' "$attnbench" report base.json --db h.db -o trend.html
echo '{"context": {}, "benchmarks": [{"name": "BM_memcpy/64", "run_type": "iteration", "real_time": 3, "time_unit": "ns"}]}' > google.json
check 'cases of other files are not in it' sh -c '"$1" report google.json --db h.db -o google.html && grep -q "\"history\":\[\]" google.html' run "$attnbench"
refused 'no such history' 2 'absent.db' "$attnbench" report base.json --db absent.db -o old.html
refused 'a history that is none' 2 'run.json' "$attnbench" report base.json --db run.json -o old.html

# --- in a browser
python3 "$tests/report_browser.py" "$work" > browser.out 2>&1
code=$?
grep '^not ok\|^#\|^skipped' browser.out
counts=$(tail -n 1 browser.out)
case $counts in
*' passed, '*' failed'*)
  passed=$((passed + ${counts%% *}))
  counts=${counts#* passed, }
  failed=$((failed + ${counts%% *}))
  case $counts in *skipped) counts=${counts#* failed, } && skipped=$((skipped + ${counts%% *})) ;; esac
  ;;
*) check "the browser's tests end (code $code)" cat browser.out false ;;
esac
finish
