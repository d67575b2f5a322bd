"""Numbers and names as people read them."""

from __future__ import annotations

import math
import re
from typing import Optional

# What hints of the engine name, and what the same is called here.
FIELDS = {
    "`speed: default`": "the resolution `Standard`",
    "`speed: fast`": "the resolution `Fast`",
    "`speed: fastest`": "the resolution `Fastest`",
    "send `force: true`": "tick `Segment anyway`",
    "send `accept_licence: true`": "press `Accept and install`",
}


def bytes_in_words(count: Optional[float]) -> str:
    """`1.2 GB`; empty where nobody knows."""
    if not count:
        return ""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count:.0f} bytes"


def seconds_in_words(seconds: Optional[float]) -> str:
    """`about 2 min`; empty where nobody knows. Rounded, so that it does not flicker."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return ""
    if seconds < 5:
        return "a few seconds"
    if seconds < 55:
        return f"about {5 * max(1, round(seconds / 5))} s"
    minutes = seconds / 60
    return f"about {round(minutes)} min" if minutes < 55 else f"about {minutes / 60:.1f} h"


def took_in_words(seconds: float) -> str:
    """`8.4 s`, `2 min 5 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def milliliters(volume: float) -> float:
    """`1534.2` as 1534, `26.71` as 26.7: as many places as mean something."""
    return float(round(volume)) if volume >= 100 else round(volume, 1 if volume >= 1 else 2)


def readable(name: str) -> str:
    """`kidney_left` as `kidney left`."""
    return name.replace("_", " ").strip()


def sentence(text: str) -> str:
    """Messages of the engine begin small, have no period, and quote as code does; in a panel they are sentences."""
    text = re.sub("`([^`]*)`", "“\\1”", text.strip())
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?:" else text + "."


def shortened(text: str, length: int) -> str:
    """What has room: `five organs at ri…`."""
    return text if len(text) <= length else text[: length - 1].rstrip(" ,.:") + "…"


def in_panel(text: str) -> str:
    """A hint of the engine, which names fields of requests, in the words that stand in the panel."""
    for field, here in FIELDS.items():
        text = text.replace(field, here)
    return text


def plural(count: int, one: str, many: str = "") -> str:
    """`1 structure`, `5 structures`."""
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"
