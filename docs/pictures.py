"""Make the pictures of pages again: `python docs/pictures.py`.

Two tests run at once against emulators, for ten minutes: `nightly`, whose live page is photographed meanwhile, and
`overload`, which the server does not carry. Needs Chromium, and the packages playwright (of the extra `dev`) and
Pillow.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parent / "images"

HELLO = {"mode": "PIPELINE_RUN", "pipelineFileName": "hello.yaml", "runTime": "4m"}
TESTS: dict[str, dict[str, Any]] = {
    "nightly": {
        "name": "nightly",
        "thresholds": {
            "run.visible.p95": "< 90s",
            "api.CreateRun.error_rate": "<= 1%",
            "api.ListRuns.latency.p99": "< 500ms",
        },
        "scenarios": [
            {**HELLO, "name": "steady", "numTimes": 4, "thresholds": {"run.success_rate": ">= 99%"}},
            {
                "name": "batch",
                "mode": "EXPERIMENT",
                "pipelineFileName": "nested.yaml",
                "startTime": "45s",
                "runTime": "2m30s",
                "arrivalRate": "8/min",
            },
            {"name": "readers", "mode": "RANDOM_GETS", "runTime": "4m", "numTimes": 10},
        ],
    },
    "overload": {
        "name": "overload",
        "scenarios": [
            {
                "name": "ramp",
                "mode": "EXPERIMENT",
                "pipelineFileName": "hello.yaml",
                "stages": [{"duration": "4m", "target": "600/min"}],
                "gracePeriod": "30s",
            }
        ],
    },
}


class Picture(NamedTuple):
    """What is shown of which report: the window from its top, or an element, at most as high as the window."""

    test: str
    selector: str = ""
    size: tuple[int, int] = (1280, 980)
    dark: bool = False


PICTURES = {
    "report": Picture("nightly"),
    "phone": Picture("nightly", size=(400, 900)),
    "phases": Picture("nightly", "section[aria-labelledby=phases] figure"),
    "tasks": Picture("nightly", "section[aria-labelledby=slowest] figure >> nth=1"),
    "keeping-up": Picture("overload", "section[aria-labelledby=keeping-up]"),
    "dark": Picture("overload", "section[aria-labelledby=course]", dark=True),
}
#: The live page: how long the test has lasted, and the size of the window.
LIVE_SECONDS, LIVE_SIZE = 165, (1280, 1330)


def main() -> None:
    """Run the tests, and write the pictures of them."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        running = [start(name, folder / name) for name in TESTS]
        photograph_live(browser, folder / "nightly", running[0])
        for process in running:
            process.wait()
        for name, picture in PICTURES.items():
            photograph(browser, name, folder / picture.test / "results/latest/report.html")
        browser.close()
    for path in IMAGES.glob("*.png"):
        reduce_colours(path)


def start(name: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a test in a folder of its own, where `log` is what it says."""
    folder.mkdir()
    (folder / f"{name}.json").write_text(json.dumps(TESTS[name]))
    command = [sys.executable, "-m", "kfp_perf", "run", f"{name}.json", "--ui"]
    if name == "overload":
        command.append(
            "--keep"
        )  # a thousand runs are deleted in minutes, and the emulator ends with its test
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--emulator", "--emulator-profile", "kfp-2.17"], cwd=folder, stdout=log, stderr=log
        )


def photograph_live(browser: Browser, folder: Path, test: subprocess.Popen[bytes]) -> None:
    """Open the live page as soon as its address is logged, and wait for the middle of the test."""
    while not (found := re.findall(r"http://\S+/\S{10,}/", (folder / "log").read_text())):
        if test.poll() is not None:
            sys.exit((folder / "log").read_text())
        time.sleep(0.2)
    page = opened(browser, found[0], LIVE_SIZE)
    page.wait_for_timeout(LIVE_SECONDS * 1000)
    page.screenshot(path=IMAGES / "live.png")


def photograph(browser: Browser, name: str, report: Path) -> None:
    """Write one picture of a report."""
    picture = PICTURES[name]
    page = opened(browser, report.resolve().as_uri(), picture.size, dark=picture.dark)
    # The kernel of the machine says nothing to a reader.
    page.evaluate("document.body.innerHTML = document.body.innerHTML.replace(/Linux-[\\w.-]+/g, 'Linux')")
    path = IMAGES / f"{name}.png"
    if not picture.selector:
        page.screenshot(path=path)
        return
    element = page.locator(picture.selector).first
    element.evaluate(
        "(one, most) => { one.style.maxHeight = `${most}px`; one.style.overflow = 'hidden'; }",
        picture.size[1],
    )
    element.screenshot(path=path)


def opened(browser: Browser, url: str, size: tuple[int, int], *, dark: bool = False) -> Page:
    """A page in a window of its own."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto(url)
    return page


def reduce_colours(path: Path) -> None:
    """Write a picture with its 256 most frequent colours, each other one as the nearest: a third of the size."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    colours, places, counts = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    kept = colours[np.argsort(-counts)[:256]]
    nearest = ((colours[:, None].astype(int) - kept) ** 2).sum(axis=2).argmin(axis=1)
    reduced = Image.fromarray(nearest[places].reshape(pixels.shape[:2]).astype(np.uint8), "P")
    reduced.putpalette(kept.flatten().tolist())
    reduced.save(path, optimize=True)


if __name__ == "__main__":
    main()
