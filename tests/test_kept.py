"""What is trained once and kept."""

import torch
from torch import nn

from sslwork import kept
from sslwork.seeds import seeded


def small(seed=0):
    with seeded(seed):
        return nn.Linear(3, 2)


def test_it_is_trained_once_for_each_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def train(net):
        calls.append(1)
        nn.init.constant_(net.weight, 2.0)

    first = kept.trained(small(), train, code=small, seed=0)
    again = kept.trained(small(5), train, code=small, seed=0)
    assert len(calls) == 1 and not again.training
    torch.testing.assert_close(first.state_dict(), again.state_dict())
    kept.trained(small(), train, code=small, seed=1)
    kept.trained(small(), train, code=seeded, seed=0)  # other code
    assert len(calls) == 3
