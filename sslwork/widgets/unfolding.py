"""Maps that are laid out in a thread while the kernel does other things."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator

import ipywidgets as widgets
import numpy as np

from sslwork.plots.style import BAD
from sslwork.widgets.dashboard import say


class Unfolding:
    """Takes map after map from an iterator in a thread, and says in `news` how far it is.

    Args:
        maps: steps with their layouts (N, 2), in the order in which they get done.
        steps: all that will come.
        take: called in the thread with each of them.
        done: called in the main thread once all have come.

    `missing` are the steps still to come, `error` is what ended the thread early.
    """

    def __init__(
        self, maps: Iterator[tuple[int, np.ndarray]], steps: Iterable[int],
        take: Callable[[int, np.ndarray], None], done: Callable[[], None],
    ) -> None:  # fmt: skip
        self.missing = set(steps)
        self.error: Exception | None = None
        self.news = widgets.HTML()
        self._maps, self._steps, self._take, self._done = maps, len(self.missing), take, done
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tell()

    def start(self) -> None:
        """Begin, if it has not begun."""
        if self._thread.ident is None:
            with contextlib.suppress(RuntimeError):  # a plain script has no loop
                self._loop = asyncio.get_running_loop()
            self._thread.start()

    def wait(self) -> None:
        """Return when the last map has come.

        Raises:
            RuntimeError: the thread failed; the cause is chained.
        """
        self.start()
        self._thread.join()
        if self.error is not None:
            raise RuntimeError("UMAP could not be laid out, so the map shows PCA") from self.error

    def _work(self) -> None:
        try:
            for step, xy in self._maps:
                self._take(step, xy)
                self.missing.discard(step)
                self._tell()
        except Exception as error:  # nobody would see it in a thread
            self.error = error
            text = f"UMAP failed, so you see PCA. {type(error).__name__}: {error}"
            self.news.value = say(text, symbol="✗", colour=BAD)
        if self._loop is not None:  # matplotlib is for the main thread
            self._loop.call_soon_threadsafe(self._done)

    def _tell(self) -> None:
        text, symbol = "UMAP: near points are alike; how far apart distant groups lie means little.", "●"
        if self.missing:
            done = f"{self._steps - len(self.missing)} of {self._steps}"
            text = f"UMAP is being laid out, {done} maps so far. Where it is not ready you see PCA's shadow."
            symbol = "○"
        self.news.value = say(text, symbol=symbol)
