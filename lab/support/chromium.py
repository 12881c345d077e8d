"""A real Chromium in a container without a network, driven over a pipe by its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/: messages are JSON, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from lab.smblab import daemon, images
from lab.smblab.progress import Progress
from lab.smblab.settings import IMAGE_PREFIX, current
from lab.smblab.tools import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.smblab.docker import Docker

IMAGE = f"{IMAGE_PREFIX}-browser:latest"
AXE = "/opt/axe.min.js"
# The pipe's ends are descriptors 3 and 4. A container is the sandbox, and has little shared memory.
COMMAND = (
    "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars"
    " --force-color-profile=srgb --remote-debugging-pipe 3<&0 4>&1 >/dev/null 2>&1"
)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


class BrowserError(Exception):
    """The browser refused, or has gone; the message is what it said."""


class Browser:
    """A Chromium. `events` are what it has told of by itself, in order."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._buffer = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The result of a method.

        Raises:
            BrowserError: it refused, or has gone.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        while (answer := self._read()).get("id") != number:
            self.events.append(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def wait(self, method: str, session: str) -> None:
        """Until it tells of an event, if it has not told already."""
        while not any(e["method"] == method and e.get("sessionId") == session for e in self.events):
            self.events.append(self._read())

    def drain(self) -> None:
        """Reads what it says until it has ended: one whose reader has gone complains."""
        assert self._process.stdout is not None
        self._process.stdout.read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\0" not in self._buffer:
            if not (more := self._process.stdout.read1()):  # type: ignore[attr-defined]  # IO has no read1, this has
                raise BrowserError("Chromium has ended")
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


class Page:
    """A page that is shown; what it says on its console is kept in `said`."""

    def __init__(self, browser: Browser, content: str, *, width: int, height: int, scheme: str = "light") -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._target = target
        self._session = str(browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        mobile = width < height
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self._features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=self._features)
        browser.events.clear()
        source = base64.b64encode(content.encode()).decode()
        self._call("Page.navigate", url=f"data:text/html;charset=utf-8;base64,{source}")
        browser.wait("Page.loadEventFired", self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    @property
    def said(self) -> list[str]:
        """What came on the console, or was logged of the page: errors, warnings, deprecations, what was not loaded."""
        self._call("Runtime.evaluate", expression="0")
        told = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(e["params"]) for e in self._browser.events if e["method"] in told]

    def value(self, expression: str) -> Any:
        """What an expression gives in the page; a promise's value.

        Raises:
            BrowserError: it threw.
        """
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def faults(self, axe: str) -> list[str]:
        """What axe-core has against the page: rule, and where."""
        self.value(axe + ";0")
        found = self.value(f"axe.run(document, {{runOnly: {json.dumps(RULES)}}})")
        return [f"{v['id']}: {v['help']}: {n['target']}" for v in found["violations"] for n in v["nodes"]]

    def names(self) -> list[tuple[str, str]]:
        """Role and name of everything in the accessibility tree that has a name."""
        nodes = [n for n in self._call("Accessibility.getFullAXTree")["nodes"] if not n["ignored"]]
        return [(n["role"]["value"], n["name"]["value"]) for n in nodes if n.get("name", {}).get("value")]

    def picture(self, width: int, height: int) -> bytes:
        """A PNG of the page's upper left part, in CSS pixels."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def on_paper(self) -> None:
        """From now on it is styled as for a printer."""
        self._call("Emulation.setEmulatedMedia", media="print", features=self._features)

    def printed(self) -> bytes:
        """A PDF, as it is printed on A4."""
        return base64.b64decode(self._call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])


@contextmanager
def chromium() -> Iterator[tuple[Browser, str]]:
    """A browser for as long as the block lasts, and axe-core's source. The image is built where it is not there.

    Raises:
        BrowserError: it did not start.
    """
    docker = _build()
    options = ["run", "--rm", "--init", "--interactive", "--network", "none", "--label", LABEL]
    axe = docker.text("run", "--rm", "--network", "none", IMAGE, "cat", AXE)
    command = ["docker", *options, IMAGE, "sh", "-c", COMMAND]
    with subprocess.Popen(
        command, env={**os.environ, **docker.env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        browser = Browser(process)
        browser.call("Browser.getVersion")
        try:
            yield browser, axe
        finally:
            browser.call("Browser.close")
            browser.drain()


def _build() -> Docker:
    settings = current()
    progress = Progress(settings.cache / "durations.json")
    docker = daemon.ensure(settings, progress)
    base = images.debian(settings, docker, progress)
    with images.context(settings) as directory:
        shutil.copytree(settings.repo / "lab" / "browser", directory, dirs_exist_ok=True)
        images.add_ca_bundle(directory)
        images.build(
            settings, docker, progress, name="browser", tag=IMAGE, directory=directory, arguments={"BASE": base}
        )
    return docker
