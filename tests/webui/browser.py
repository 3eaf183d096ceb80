"""A real Chromium, driven by Playwright under Node: driver.mjs does what is asked here."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "build" / "node" / "node_modules"
PATIENCE_MS = 20_000
END_S = 30


def results():
    """Where tests/run.py keeps what tests leave to be looked at."""
    folder = Path(os.environ.get("CHUNKVAULT_RESULTS", ROOT / "build" / "screenshots")) / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def executable():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHUNKVAULT_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert found, "there is no Chromium; ./dev test installs it"
    return found


class BrowserError(AssertionError):
    pass


class Browser:
    def __init__(self):
        assert MODULES.is_dir(), f"{MODULES} is missing; ./dev test makes it with npm ci"
        self.downloads = tempfile.TemporaryDirectory(prefix="chunkvault-downloads-")
        self.process = subprocess.Popen(["node", Path(__file__).with_name("driver.mjs"), MODULES, executable(),
                                         self.downloads.name],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        self.process.stdin.close()
        self.process.wait(END_S)
        self.process.stdout.close()
        self.downloads.cleanup()

    def ask(self, command, **arguments):
        self.process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer["result"]

    def open(self, width=1280, height=900, dark=False, **options):
        """A page in a context of its own: no cookies of others. options: as for Playwright's newContext."""
        options = {"viewport": {"width": width, "height": height}, "colorScheme": "dark" if dark else "light",
                   **options}
        return Page(self, self.ask("open", options=options))


class Page:
    def __init__(self, browser, number):
        self.browser, self.number = browser, number

    def ask(self, command, **arguments):
        return self.browser.ask(command, id=self.number, **arguments)

    def close(self):
        self.ask("close")

    def call(self, method, *args, selector=None, frame=None):
        return self.ask("call", method=method, args=args, selector=selector, frame=frame)

    def goto(self, url):
        self.call("goto", url)
        return self

    def wait(self, selector, state="visible", frame=None):
        self.call("waitFor", {"state": state, "timeout": PATIENCE_MS}, selector=selector, frame=frame)
        return self

    def text(self, selector="main", frame=None):
        return self.call("innerText", {"timeout": PATIENCE_MS}, selector=selector, frame=frame)

    def count(self, selector):
        return self.call("count", selector=selector)

    def attribute(self, selector, name):
        return self.call("getAttribute", name, selector=selector)

    def click(self, selector):
        self.call("click", {"timeout": PATIENCE_MS}, selector=selector)
        return self

    def fill(self, selector, text):
        self.call("fill", text, {"timeout": PATIENCE_MS}, selector=selector)
        return self

    def press(self, key):
        """A key, at what has the focus."""
        self.ask("press", key=key)
        return self

    def offline(self, offline=True):
        self.ask("offline", offline=offline)
        return self

    def evaluate(self, function, selector=None, frame=None):
        """function: of JavaScript, as text; it gets the element where a selector is given."""
        return self.call("evaluate", function, selector=selector, frame=frame)

    def download(self, selector, path):
        """Clicks, keeps what the browser downloads at path, and gives the name that the browser would use."""
        return self.ask("download", selector=selector, path=str(path))

    def resume_download(self):
        """The last one, which was cut, by the button of the browser's own page of downloads."""
        self.ask("resumeDownload")

    def downloaded(self):
        """The files that this browser is downloading or has downloaded, under names of its own."""
        return set(Path(self.browser.downloads.name).iterdir())

    def drop(self, selector, *paths):
        """Files and folders of the disk, as from a file manager."""
        self.ask("drop", selector=selector, paths=[str(path) for path in paths])
        return self

    def answer(self, method, status):
        """Lets the page's requests of that method get this status, and not reach the server; None ends it."""
        self.ask("answer", method=method, status=status)
        return self

    def screenshot(self, name):
        self.call("screenshot", {"path": str(results() / f"{name}.png"), "fullPage": True})

    def violations(self):
        return self.ask("axe")

    def said(self):
        """What the page complained about on its console."""
        return self.ask("said")["console"]

    def requests(self):
        return self.ask("said")["requests"]

    def opened(self):
        """The tabs that the page opened."""
        return [Page(self.browser, number) for number in self.ask("said")["opened"]]
