"""Files that are there as a whole or not at all."""

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write into, which gets its name at the end of the block; a former file stays until then.

    Where the block fails, nothing is left. Where the process is killed, the next write sweeps up.

    Raises:
        OSError: no room, no right to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:  # an interrupt too
            part.unlink()
            raise
    part.replace(path)
    for left in path.parent.glob(f"{glob.escape(path.name)}*.part"):
        with suppress(FileNotFoundError):  # another process was quicker
            if left.stat().st_mtime < path.stat().st_mtime:
                left.unlink()
