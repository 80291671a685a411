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


def test_the_place_changes_with_what_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    places = {kept.place("zoo", "net", told) for told in ("a 1", "a 2", "a 1")}
    assert len(places) == 2
    assert all(each.parent == tmp_path / "sslwork" / "zoo" and each.suffix == ".pt" for each in places)
