"""The guard in fresh processes: what one import declares stays for the life of a process."""

import subprocess
import sys

USE = """
from sslwork import torchvision_guard as guard
torchvision = guard.import_torchvision()
import torch
from torchvision.transforms import v2
with torch.inference_mode():
    assert torchvision.models.resnet18().eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    assert v2.Compose([v2.Resize(8), v2.RandomHorizontalFlip()])(torch.zeros(2, 3, 16, 16)).shape == (2, 3, 8, 8)
"""
DECLARE = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


def test_imports_here_and_twice():
    """In this environment, whichever build it has; a second call changes nothing."""
    done = python(
        USE
        + "declared = guard._library\n"
        + "assert guard.import_torchvision() is torchvision and guard._library is declared\n"
        + "real = torchvision.extension._has_ops()\n"
        + "assert (declared is None) == real, (declared, real)\n"
    )
    assert done.returncode == 0, done.stderr


def test_declares_nothing_where_the_operators_exist():
    done = python(DECLARE + USE + "assert guard._library is None, 'declared twice'")
    assert done.returncode == 0, done.stderr


def test_declares_only_what_is_missing():
    done = python(DECLARE.replace('("nms", "qnms")', '("nms",)') + USE)
    assert done.returncode == 0, done.stderr


def test_works_after_an_import_that_failed():
    """A bare `import torchvision` that stopped half-way must not spoil the guarded one."""
    done = python("try:\n    import torchvision\nexcept RuntimeError:\n    pass\n" + USE)
    assert done.returncode == 0, done.stderr


def test_says_what_to_install():
    absent = "import sys; sys.modules['torchvision'] = None\n"
    done = python(absent + "from sslwork.torchvision_guard import import_torchvision\nimport_torchvision()")
    assert done.returncode != 0
    assert (
        "ImportError: torchvision is not installed. Install it with: pip install torchvision" in done.stderr
    )
