"""What README and docs show is tried: each `curl` line against a fresh node, in the order of the files, and its answer is like the one shown;
and each Python sample with Stripe's SDK (those of other libraries are marked `python no-run`).

An answer that is shown whole has the shown keys and values, ids under other names and moments aside. One that is shown in part (...) has to be
no refusal. Usage: samples.py http://<florin> <file>...
"""

import base64
import contextlib
import io
import json
import re
import shlex
import sys
import urllib.error
import urllib.request

SHOWN_AT = "http://127.0.0.1:8080"
PATIENCE_S = 20
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.M | re.S)
ID = re.compile(r"\b(pay|pi|ch|mer|ref|re|cus|pm|tok|evt|plink|acc)_[0-9a-z]{20,}")
# Drawn anew each time, or a moment.
OTHERWISE = {"created", "at", "deadline", "provider_key", "reference", "processor_transaction_id", "effective_date", "age_ms", "retry_after_s"}


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


def request(words, address):
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
    url = url.replace(SHOWN_AT, address).replace("[", "%5B").replace("]", "%5D")
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


def commands(block):
    """Each command of a block, with what is shown below it."""
    command, shown, goes_on = None, [], False
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, "\n".join(shown)
            command, shown, goes_on = line[2:].rstrip("\\"), [], line.endswith("\\")
        elif goes_on:
            command, goes_on = command + line.rstrip("\\"), line.endswith("\\")
        else:
            shown.append(line.strip())
    if command:
        yield command, "\n".join(shown)


def curl(command, shown, address, known):
    words = shlex.split(known.here(command))
    if words[0] != "curl":
        return False
    status, text = answer(request(words, address))
    if shown and "..." not in shown:
        alike(json.loads(shown), json.loads(text), known, "answer")
    else:
        assert status < 400, f"{status} {text}"
        named = re.search(f'"id":"({ID.pattern})"', shown)
        if named:
            known.learn(named[1], json.loads(text)["id"])
    return True


def main(address, files):
    known, tried = Known(), 0
    for file in files:
        with open(file, encoding="utf-8") as opened:
            blocks = BLOCK.findall(opened.read())
        for language, block in blocks:
            try:
                if language == "python":
                    with contextlib.redirect_stdout(io.StringIO()):
                        exec(compile(block.replace(SHOWN_AT, address), file, "exec"), {})
                    tried += 1
                    continue
                for command, shown in commands(block):
                    tried += curl(command, shown, address, known)
            except Exception as error:
                raise SystemExit(f"samples: {file}: {error!r} at\n{block}") from error
    assert tried > 0
    print(f"samples: {tried} are as they are shown")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
