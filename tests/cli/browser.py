"""Chromium, driven through its debugging pipe: open a page, read its text, run a script, take a screenshot."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE = 120.0


class Browser:
    """A headless browser with one page. JSON messages that end with NUL go to its descriptor 3, and come from 4."""

    def __init__(self, profile: Path) -> None:
        commands, self._to = os.pipe()
        self._from, replies = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1180,720"]
        shell = f'exec "$@" 3<&{commands} 4>&{replies}'
        self._process = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                shell,
                "bash",
                CHROMIUM,
                *flags,
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
            ],
            pass_fds=(commands, replies),
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(replies)
        self._number, self._buffer, self._session = 0, b"", None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def _call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                part = os.read(self._from, 1 << 20)
                assert part, "the browser has ended"
                self._buffer += part
            reply, _, self._buffer = self._buffer.partition(b"\0")
            answer = json.loads(reply)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, address: str, expected: str) -> str:
        """Open a page. Return its text once it has some text."""
        self._call("Page.navigate", url=address)
        return self.wait(expected)

    def wait(self, expected: str) -> str:
        """Return the page's text once it has some text."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            text = self.run("document.body ? document.body.innerText : ''") or ""
            if expected in text:
                return text
            time.sleep(0.1)
        raise AssertionError(f"the page never had {expected!r}:\n{text}")

    def run(self, script: str):
        """Return the value of a script's expression."""
        return self._call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def switch_scripts_off(self) -> None:
        """Let pages that are opened from now on run no scripts."""
        self._call("Emulation.setScriptExecutionDisabled", value=True)

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self) -> bytes:
        """Return the page as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(AssertionError, OSError):
            self._session = None
            self._call("Browser.close")
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
