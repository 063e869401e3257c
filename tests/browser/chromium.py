"""A page in a headless Chromium, driven over the pipe that ``--remote-debugging-pipe`` opens: no driver, no port.

The messages are JSON, each closed by a zero byte (https://chromedevtools.github.io/devtools-protocol).
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.conftest import LIMIT

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--window-size=1400,1000", "--remote-debugging-pipe",
)  # fmt: skip
DEEP = """
const deep = function* (root) {
  for (const element of root.querySelectorAll('*')) {
    yield element;
    if (element.shadowRoot) yield* deep(element.shadowRoot);
  }
};
const shown = (element) => element.getClientRects().length > 0;
const matching = (selector) => [...deep(document)].filter((e) => e.matches(selector) && shown(e));
"""
"""JavaScript that finds the elements one sees, inside shadow roots as well."""


def executable() -> str | None:
    """The browser on this machine; None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """A page of a browser of its own, closed at the end of the context.

    Args:
        profile: an empty folder for the browser's files.
        seconds: how long an answer, or what is waited for, may take.
    """

    def __init__(self, profile: Path, seconds: float = LIMIT) -> None:
        self.seconds = seconds
        self._number, self._read = 0, b""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser expects its ends as descriptors 3 and 4. A shell moves them there, from whatever they are here.
        command = [str(executable()), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        moved = ["bash", "-c", f'exec 10<&{theirs_in} 11>&{theirs_out} 3<&10 4>&11 10<&- 11>&-; exec "$@"', "bash"]
        self._browser = subprocess.Popen(
            [*moved, *command], pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)

    def __enter__(self) -> Page:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable", self._session)
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self._call("Browser.close")
            self._browser.wait(5)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._browser.kill()
            self._browser.wait()
        os.close(self._in)
        os.close(self._out)

    def open(self, address: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", self._session, url=address)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; ``matching(selector)`` gives the elements that one sees."""
        expression = f"(() => {{{DEEP} return {script}}})()"
        answer = self._call("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The first value of a JavaScript expression that counts as true; an error where none comes in time."""
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            if value := self.run(script):
                return value
            time.sleep(0.1)
        raise TimeoutError(f"not on the page after {self.seconds} s: {script}\n{self.run('document.body.innerText')}")

    def screenshot(self, path: Path) -> None:
        """Write what one sees as a PNG file."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", self._session)["data"]))

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        os.write(self._out, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass  # an event
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            if not select.select([self._in], [], [], self.seconds)[0]:
                raise TimeoutError(f"the browser is silent for {self.seconds} s")
            if not (more := os.read(self._in, 1 << 20)):
                raise OSError("the browser has closed")
            self._read += more
        message, self._read = self._read.split(b"\0", 1)
        return json.loads(message)
