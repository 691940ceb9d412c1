"""The pages of tests/test_report.sh as a browser shows them: nothing complained of, nothing asked for, quick, usable by
keyboard, in both themes, printable. usage: report_browser.py FOLDER"""
import os
import sys

import browser as chromium

passed = failed = 0


def check(name, ok, said=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("not ok -", name)
        print("#  ", said)


TABLE = "[...document.querySelectorAll('#table tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
HEADS = "[...document.querySelectorAll('#table thead th')].map(h => h.textContent)"


def painted(b):
    """Charts whose canvas is more than one colour."""
    return b.ask("[...document.querySelectorAll('canvas')].filter(c => new Set(new Uint32Array(c.getContext('2d')"
                 ".getImageData(0, 0, c.width, c.height).data.buffer)).size > 3).length")


def look(b, folder, name, charts, seconds=None):
    for theme in ("light", "dark"):
        took = b.open(os.path.join(folder, name + ".html"), theme=theme)
        ready = b.ask("Number(document.documentElement.dataset.ready)")
        check(f"{name}, {theme}: drawn to the end", ready and ready > 0, b.complaints())
        check(f"{name}, {theme}: no complaint", not b.complaints(), b.complaints())
        check(f"{name}, {theme}: no request", not b.requests(), b.requests())
        check(f"{name}, {theme}: charts are painted", painted(b) == charts, painted(b))
        if seconds and "TEST_TIMES" in os.environ:
            check(f"{name}, {theme}: within {seconds} s", took < seconds, took)
    return took


def test_table(b, folder):
    b.open(os.path.join(folder, "thousand.html"))
    check("a thousand rows", len(b.ask(TABLE)) == 1000)
    column = b.ask(HEADS).index("GFLOP/s")
    button = f"document.querySelectorAll('#table thead button')[{column}]"
    b.ask(button + ".focus()")
    for order in (-1, 1):
        b.key("Enter", 13) if order == -1 else b.ask(button + ".click()")
        values = [float(row[column]) for row in b.ask(TABLE)]
        check(f"sorted, order {order}", values == sorted(values, key=lambda v: order * v), values[:5])
        wanted = "descending" if order == -1 else "ascending"
        check("the heading says so", b.ask(button + ".closest('th').getAttribute('aria-sort')") == wanted)
    b.ask("(() => { const f = document.querySelector('input[type=search]'); f.value = 'causal d128';"
          " f.dispatchEvent(new Event('input')); })()")
    rows = b.ask(TABLE)
    check("filtered", 0 < len(rows) < 1000 and all("causal" in " ".join(r) and "D128" in " ".join(r) for r in rows), len(rows))
    check("the count is told", b.ask("document.querySelector('#cases [role=status]').textContent") == f"{len(rows)} of 1000 cases")


def test_equivalents(b, folder):
    b.open(os.path.join(folder, "two.html"))
    check("every chart has a label and a table", b.ask(
        "[...document.querySelectorAll('figure')].every(f => { f.querySelector('details').open = true;"
        " return f.querySelector('canvas[role=img]').getAttribute('aria-label').length > 40; })"))
    b.ask("new Promise(r => setTimeout(r, 100))")
    check("whose rows are there", b.ask("[...document.querySelectorAll('figure')].every(f => f.querySelectorAll('tbody tr').length > 1)"))
    check("every control has a label", b.ask(
        "[...document.querySelectorAll('select, input')].every(e => document.querySelector(`label[for=${e.id}]`))"))
    check("two cards", b.ask("document.querySelectorAll('.card').length") == 2)
    # Every choice of every chart can be drawn.
    b.ask("for (const s of document.querySelectorAll('figure select')) for (const o of s.options) {"
          " s.value = o.value; s.dispatchEvent(new Event('change')); }")
    check("every choice can be drawn", not b.complaints(), b.complaints())
    b.ask("document.getElementById('theme').click(); document.getElementById('theme').click()")
    check("the theme changes", b.ask("getComputedStyle(document.body).colorScheme + document.documentElement.dataset.theme")
          == "darkdark" or b.ask("document.documentElement.dataset.theme") == "dark")
    check("and nothing complains", not b.complaints(), b.complaints())
    pdf = os.path.join(folder, "page.pdf")
    b.pdf(pdf)
    check("it can be printed", os.path.getsize(pdf) > 20000 and not b.complaints(), b.complaints())


def test_hostile(b, folder):
    b.open(os.path.join(folder, "hostile.html"))
    check("hostile texts are texts", "</script><script>alert(1)" in b.ask("document.querySelector('h1').textContent"))
    check("and no elements", b.ask("document.querySelectorAll('img').length") == 0)
    page = open(os.path.join(folder, "quick.html"), encoding="utf-8").read()
    # What the page's policy and these checks are worth: an image and a script that somebody put into it.
    with open(os.path.join(folder, "spoilt.html"), "w", encoding="utf-8") as f:
        f.write(page.replace('<main id="main">', '<main id="main"><img src="http://example.invalid/x.png"><script>document.title = "spoilt"</script>'))
    b.open(os.path.join(folder, "spoilt.html"))
    check("the policy stops what does not belong", b.ask("document.title") != "spoilt" and len(b.complaints()) >= 2, b.complaints())
    with open(os.path.join(folder, "open.html"), "w", encoding="utf-8") as f:
        f.write("<!DOCTYPE html><title>x</title><img src='http://example.invalid/x.png'>")
    b.open(os.path.join(folder, "open.html"))
    check("a page that asks is found out", b.requests() == ["http://example.invalid/x.png"], b.requests())


def test_without_charts(b, folder):
    """As a build without Chart.js makes it: that script is empty."""
    page = open(os.path.join(folder, "quick.html"), encoding="utf-8").read()
    begin = page.index('<script nonce="')
    begin = page.index(">", begin) + 1
    with open(os.path.join(folder, "bare.html"), "w", encoding="utf-8") as f:
        f.write(page[:begin] + page[page.index("</script>", begin):])
    b.open(os.path.join(folder, "bare.html"))
    check("without Chart.js: no complaint", not b.complaints(), b.complaints())
    check("without Chart.js: says so", "without Chart.js" in b.ask("document.getElementById('notices').textContent"))
    check("without Chart.js: tables instead", b.ask("document.querySelectorAll('canvas').length") == 0 and
          b.ask("[...document.querySelectorAll('figure')].every(f => f.querySelectorAll('tbody tr').length > 1)"))


def test_trend(b, folder):
    look(b, folder, "trend", 4)
    note = b.ask("document.querySelector('#trend .note').textContent")
    check("the change is named", "slower, 000000000009 → 00000000000a" in note, note)
    check("changed cases come first", b.ask("document.querySelector('#trend select').options[0].textContent").startswith("●"))


def main():
    folder = sys.argv[1]
    path = chromium.find()
    if not path:
        print("skipped: no chromium (Debian package chromium)")
        print("0 passed, 0 failed, 1 skipped")
        return
    b = chromium.Browser(path)
    try:
        look(b, folder, "run", 2)
        look(b, folder, "quick", 4)
        look(b, folder, "hostile", 4)
        look(b, folder, "google", 0)
        look(b, folder, "odd", 4)
        look(b, folder, "two", 5)
        took = look(b, folder, "thousand", 4, seconds=2)
        print(f"# 1000 rows: {took:.2f} s")
        test_trend(b, folder)
        test_table(b, folder)
        test_equivalents(b, folder)
        test_hostile(b, folder)
        test_without_charts(b, folder)
    finally:
        b.close()
    print(f"{passed} passed, {failed} failed")


main()
