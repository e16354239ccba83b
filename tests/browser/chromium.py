"""A real Chromium with a fresh profile, spoken to in the WebDriver protocol itself: it is HTTP and JSON, so nothing has to be installed for it."""

import base64
import http.client
import json
import re
import shutil
import subprocess
import tempfile
import time

PATIENCE_S = 30
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER = "\ue007"
TAB = "\ue004"
# What a browser does by itself, for its maker and not for the page.
QUIET = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--no-proxy-server",
]


class Chromium:
    """One window, as large as a small phone."""

    def __init__(self, driver, program, scripts=True, width=360, height=740):
        self.profile = tempfile.TemporaryDirectory(prefix="florin-chromium-")
        self.process = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = None
        for line in self.process.stdout:
            said = re.search(r"started successfully on port (\d+)", line)
            if said:
                port = int(said.group(1))
                break
        assert port, "chromedriver did not say where it listens"
        self.driver = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S * 2)
        self.requests = []
        options = {
            # The driver does not look for it by its name.
            "binary": shutil.which(program) or program,
            "args": [*QUIET, f"--user-data-dir={self.profile.name}"],
            "mobileEmulation": {
                "deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0, "touch": True, "mobile": True}
            },
        }
        if not scripts:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
        }
        try:
            made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        except BaseException:
            self.close()
            raise
        self.session = f"/session/{made['sessionId']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if hasattr(self, "session"):
            try:
                self.ask("DELETE", self.session)
            except (OSError, AssertionError, http.client.HTTPException):
                pass
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.profile.cleanup()

    def ask(self, method, path, body=None):
        text = None if method == "GET" or method == "DELETE" else json.dumps(body or {})
        self.driver.request(method, path, text, {"Content-Type": "application/json"})
        answer = self.driver.getresponse()
        value = json.loads(answer.read())["value"]
        assert answer.status == 200, f"{method} {path}: {value}"
        return value

    def open(self, url):
        self.ask("POST", f"{self.session}/url", {"url": url})

    def reload(self):
        self.ask("POST", f"{self.session}/refresh")

    def url(self):
        return self.ask("GET", f"{self.session}/url")

    def run(self, script, *args):
        return self.ask("POST", f"{self.session}/execute/sync", {"script": script, "args": list(args)})

    def devtools(self, name, **params):
        return self.ask("POST", f"{self.session}/goog/cdp/execute", {"cmd": name, "params": params})

    def find(self, selector):
        found = self.ask("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def type(self, selector, text):
        self.ask("POST", f"{self.session}/element/{self.find(selector)}/value", {"text": text})

    def clear(self, selector):
        self.ask("POST", f"{self.session}/element/{self.find(selector)}/clear")

    def click(self, selector):
        self.ask("POST", f"{self.session}/element/{self.find(selector)}/click")

    def text(self, selector):
        return self.ask("GET", f"{self.session}/element/{self.find(selector)}/text")

    def until(self, what, script, *args):
        """Waits until a script finds something true. While a page is being left there is none to ask."""
        deadline = time.monotonic() + PATIENCE_S
        last = None
        while time.monotonic() < deadline:
            try:
                last = self.run(script, *args)
            except AssertionError as error:
                last = str(error)
            else:
                if last:
                    return last
            time.sleep(0.05)
        raise AssertionError(f"in vain waited for {what}: {last!r} at {self.url()}")

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", f"{self.session}/screenshot")))

    def sent(self):
        """Every request that was made so far: method, URL, headers and body."""
        for entry in self.ask("POST", f"{self.session}/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"])
        return self.requests

    def complaints(self):
        """What the console says: errors of scripts, of the network and of the content policy."""
        log = self.ask("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]
