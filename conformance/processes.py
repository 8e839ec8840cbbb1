"""Processes that the suite starts: none of them outlives it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> Callable[[], None] | None:
    """What a child that we start runs before its program: on Linux the kernel then kills it when we die,
    however that happens. Nothing on other systems."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # before the fork: afterwards little is allowed
    return partial(_ask_kernel, prctl, os.getpid())


def die_with(parent: int) -> None:
    """The same, asked for by a child that runs already, and was not forked by us but by a library."""
    if sys.platform == "linux":
        _ask_kernel(ctypes.CDLL(None, use_errno=True).prctl, parent)


def _ask_kernel(prctl: Callable[[int, int], int], parent: int) -> None:
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # died before the call
        os._exit(1)


def wait_until_still(pid: int) -> None:
    """Wait until a child of ours that was sent SIGSTOP stands still, or has ended: the signal alone may take
    effect later, and what it does until then would be taken for its doing while it stood still."""
    if hasattr(os, "waitid"):
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
