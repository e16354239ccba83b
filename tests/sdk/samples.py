"""What README and docs show is tried, each file against a node of its own: each `curl` line (SHOWN_AT and SANDBOX_AT stand for the node and its sandbox), whose
answer is like the one shown; each other command, which ends well and prints what is shown; each Python sample; and each piece of configuration.

An answer that is shown whole has the shown keys and values, ids under other names and moments aside. One that is shown in part (...) has to be
no refusal. Every block says what it is: `console` (tried), `python` (tried), `toml` (tried with `florin config check`), `json` (parsed), `text` or `promql` (nothing to try),
or anything with ` no-run: ` and a reason, which is listed. Others are refused.

Usage: samples.py --list <file>...
       samples.py http://<florin> http://<sandbox> <file>, with `florin` on the path and FLORIN_DATA_DIR set
"""

import base64
import contextlib
import io
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

SHOWN_AT = "http://127.0.0.1:8080"
SANDBOX_AT = "http://127.0.0.1:9090"
TRIED = {"console", "python", "toml"}
SHELL = {"|", ">", ";", "&&"}
NOTHING_TO_TRY = {"json", "text", "promql"}
PROVIDER = '\n[[provider]]\nkind = "stripe"\nid = "stripe"\nbase_url = "https://api.stripe.com"\nsecret_key = "sk_live_..."\n'
NO_RUN = re.compile(r"\w+ no-run: (.+)")
PATIENCE_S = 20
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.M | re.S)
ID = re.compile(r"\b(pay|pi|ch|mer|ref|re|cus|pm|tok|evt|plink|acc|key|rle|we)_[0-9a-z]{20,}")
PAIR = re.compile(r'"(\w+)":\s*("(?:[^"\\\\]|\\\\.)*"|-?[\d.]+\b|true|false|null)')
# Drawn anew each time, or a moment.
OTHERWISE = {"created", "at", "deadline", "provider_key", "reference", "processor_transaction_id", "effective_date", "age_ms", "retry_after_s"}


def there(text, places):
    for shown, real in places.items():
        text = text.replace(shown, real)
    return text


class Known:
    """What the ids in the files stand for here."""

    def __init__(self):
        self.ids = {}

    def here(self, text):
        for shown, real in self.ids.items():
            text = text.replace(shown.split("_", 1)[1], real.split("_", 1)[1])
        return text

    def learn(self, shown, real):
        if ID.sub("", shown) == ID.sub("", real):
            for one, other in zip(ID.finditer(shown), ID.finditer(real)):
                self.ids.setdefault(one[0], other[0])


def request(words, places):
    """What a curl line sends."""
    url, method, headers, data = None, None, {}, []
    words = iter(words[1:])
    for word in words:
        if word in ("-H", "--header"):
            name, value = next(words).split(":", 1)
            headers[name] = value.strip()
        elif word == "-u":
            headers["Authorization"] = "Basic " + base64.b64encode(next(words).encode()).decode()
        elif word == "-X":
            method = next(words)
        elif word == "-d":
            data.append(next(words))
        elif re.fullmatch(r"-[sSgiOf]+", word):
            pass
        elif word.startswith("-") or url:
            raise ValueError(f"what is {word}?")
        else:
            url = word
    body = "&".join(data).encode() if data else None
    url = there(url, places).replace("[", "%5B").replace("]", "%5D")
    return urllib.request.Request(url, body, headers, method=method)


def answer(sent):
    try:
        with urllib.request.urlopen(sent, timeout=PATIENCE_S) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def alike(shown, real, known, place):
    if place.rsplit(".", 1)[-1] in OTHERWISE:
        assert isinstance(real, type(shown)), f"{place}: {real!r} for {shown!r}"
    elif isinstance(shown, dict):
        assert isinstance(real, dict) and list(real) == list(shown), f"{place} has {list(real)} and not {list(shown)}"
        for key, value in shown.items():
            alike(value, real[key], known, f"{place}.{key}")
    elif isinstance(shown, list):
        assert isinstance(real, list) and len(real) == len(shown), f"{place}: {real!r} for {shown!r}"
        for n, value in enumerate(shown):
            alike(value, real[n], known, f"{place}.{n}")
    elif isinstance(shown, str) and isinstance(real, str):
        known.learn(shown, real)
        assert known.here(shown) == real, f"{place}: {real!r} for {shown!r}"
    else:
        assert shown == real, f"{place}: {real!r} for {shown!r}"


def is_open(command):
    """Whether a command goes on in the next line: behind a backslash, or within quotes."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def commands(block):
    """Each command of a block, with what is shown below it."""
    command, shown = None, []
    for line in block.splitlines():
        if command and not shown and is_open(command):
            command = command.removesuffix("\\") + ("" if command.endswith("\\") else "\n") + line
        elif line.startswith("$ "):
            if command:
                yield command, "\n".join(shown)
            command, shown = line[2:], []
        else:
            shown.append(line.strip())
    if command:
        yield command, "\n".join(shown)


def curl(words, shown, places, known):
    status, text = answer(request(words, places))
    if shown and "..." not in shown:
        alike(json.loads(shown), json.loads(text), known, "answer")
    else:
        assert status < 400, f"{status} {text}"
        in_part(shown, text, known)


def in_part(shown, text, known):
    """What is shown in part: each pair of a name and a plain value that is shown whole is there, and ids that are named may be spoken of later."""
    real_pairs = PAIR.findall(text)
    real_ids = dict(reversed([(name, value.strip('"')) for name, value in real_pairs]))
    for name, value in PAIR.findall(shown):
        if "..." in value or name in OTHERWISE:
            continue
        if ID.fullmatch(value.strip('"')):
            known.learn(value.strip('"'), real_ids[name])
        assert (name, known.here(value)) in real_pairs, f"{name}: {value} is not in {text}"


def other(command, shown, places, folder):
    """A command of the shell; what it prints has every line that is shown, ... standing for anything."""
    ended = subprocess.run(
        ["bash", "-euc", there(command, places)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S * 6, check=False
    )
    assert ended.returncode == 0, f"{ended.returncode} {ended.stdout} {ended.stderr}"
    for line in filter(None, shown.splitlines()):
        pattern = ".*".join(re.escape(part) for part in line.split("..."))
        assert re.search(pattern, ended.stdout), f"{line!r} is not in {ended.stdout!r}"


def configured(block, folder):
    """A piece of configuration that a node would start with, which needs a provider."""
    place = pathlib.Path(folder) / "shown.toml"
    place.write_text(block if "[[provider]]" in block else block + PROVIDER, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLORIN_")}
    ended = subprocess.run(
        ["florin", "config", "check", "--config", str(place)], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 0, f"{ended.stdout} {ended.stderr}"


def attempt(language, block, places, known, folder):
    """How many samples of a block were tried."""
    if language == "json":
        json.loads(block)
        return 0
    if language == "toml":
        configured(block, folder)
        return 1
    if language == "python":
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(there(block, places), "a sample", "exec"), {})
        return 1
    tried = 0
    for command, shown in commands(block) if language == "console" else ():
        words = shlex.split(known.here(command))
        if words[0] == "curl" and not SHELL & set(words):
            curl(words, shown, places, known)
        else:
            other(known.here(command), known.here(shown), places, folder)
        tried += 1
    assert tried > 0 or language != "console", "there is no line that begins with $"
    return tried


def blocks(file):
    """Each block with its line, and what it says of itself."""
    text = pathlib.Path(file).read_text(encoding="utf-8")
    assert text.count("\n```") % 2 == 0, f"{file}: a block has no end"
    for found in BLOCK.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2]


def listed(files):
    """Says what is tried and what is not, and refuses what does not say what it is."""
    wrong = []
    for file in files:
        kinds = []
        for line, info, _ in blocks(file):
            reason = NO_RUN.fullmatch(info)
            if reason:
                print(f"samples: {file}:{line} is not tried: {reason[1]}")
            elif info in TRIED | NOTHING_TO_TRY:
                kinds.append(info)
            else:
                wrong.append(f"{file}:{line}: ```{info} says neither that it can be tried nor why not")
        if TRIED & set(kinds):
            print(f"samples: try {file}")
    if wrong:
        raise SystemExit("\n".join(wrong))


def main(address, sandbox, file):
    known, tried = Known(), 0
    places = {SHOWN_AT: address, SANDBOX_AT: sandbox}
    with tempfile.TemporaryDirectory() as folder:
        for line, info, block in blocks(file):
            try:
                if not NO_RUN.fullmatch(info):
                    tried += attempt(info, block, places, known, folder)
            except Exception as error:
                raise SystemExit(f"samples: {file}:{line}: {error!r:.2000} at\n{block}") from error
    assert tried > 0
    print(f"samples: {file}: {tried} as shown")


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        listed(sys.argv[2:])
    else:
        main(*sys.argv[1:])
