"""A headless Chromium that does what a reader does, spoken to over a pipe in its DevTools protocol."""

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
    "--remote-debugging-pipe",
)
_PATIENCE_S = 300


class Gone(Exception):  # noqa: N818 (an event)
    """The browser did not do what it was told, most likely because the page has changed meanwhile."""


class Browser:
    """One tab of the browser.

    Attributes
    ----------
    complaints
        What the console, the page's policy and failed programs have said.
    requests
        Addresses that the page has asked for.
    """

    def __init__(self, write: int, answers: io.RawIOBase) -> None:
        self._write = write
        self._answers = answers
        self._received = b""
        self._count = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Have a command of the protocol done; events that come first are kept."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise Gone(answer["error"]["message"])
                return answer["result"]
            self._keep(answer)

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression on the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, page: Path, width: int = 340, height: int = 600, scale: float = 1.0) -> None:
        """Open a file in a window of the given size and wait until it stands."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.wait_for("document.readyState == 'complete'")

    def wait_for(self, expression: str) -> None:
        """Wait until a JavaScript expression is true; the page may be loaded anew meanwhile."""
        until = time.monotonic() + _PATIENCE_S
        while not self._is_true(expression):
            assert time.monotonic() < until, f"never came true: {expression}"
            time.sleep(0.05)

    def _is_true(self, expression: str) -> bool:
        try:
            return bool(self.evaluate(expression))
        except Gone:
            return False

    def wait_for_stillness(self) -> None:
        """Wait until what was changed last has been drawn finely."""
        self.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(done), 600))")

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_KEYS[key])

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Do one thing with the mouse: ``mousePressed``, ``mouseMoved``, ``mouseReleased``, ``mouseWheel``."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", **more)

    def picture(self, selector: str) -> np.ndarray:
        """What a canvas shows: RGBA in [0, 1], top row first."""
        text = self.evaluate(f"document.querySelector({selector!r}).toDataURL()")
        with Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))) as image:
            return np.asarray(image.convert("RGBA"), dtype=float) / 255

    def screenshot(self, file: Path) -> None:
        """Save a picture of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def print_page(self, file: Path) -> None:
        """Save the page as it is printed."""
        file.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            part = self._answers.read(1 << 20)
            assert part, "the browser is gone"
            self._received += part
        text, _, self._received = self._received.partition(b"\0")
        return json.loads(text)

    def _keep(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded":
                self.complaints.append(json.dumps(event["params"]))
            case "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])


_KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "+": 187, "-": 189}


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run a browser whose profile lies in the folder ``profile``."""
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()
    # the browser reads from descriptor 3 and writes to 4
    arguments = ["bash", "-c", f'exec "$@" 3<&{commands_out} 4>&{answers_in}', "bash", str(PROGRAM), *_FLAGS]
    process = subprocess.Popen(
        [*arguments, f"--user-data-dir={profile}"],
        pass_fds=(commands_out, answers_in),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(commands_out)
    os.close(answers_in)
    try:
        with os.fdopen(answers_out, "rb", buffering=0) as answers:
            yield Browser(commands_in, answers)
    finally:
        os.close(commands_in)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
