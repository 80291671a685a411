"""`python benchmarks` measures every case, `python benchmarks views knn` these."""

import subprocess
import sys

import page

for case in sys.argv[1:] or page.CASES:
    if case not in page.CASES:
        sys.exit(f"no case {case!r}; there are {', '.join(page.CASES)}")
    subprocess.run([sys.executable, page.HERE / f"{case}.py"], check=True)
