"""The membership attack: what it can tell, and that it is fair where there is nothing to tell."""

import pytest
import torch

from sslwork import measures
from sslwork.seeds import generator


def logits(n, sure, seed):
    z = torch.randn(n, 10, generator=generator(seed))
    z[torch.arange(n), torch.randint(10, (n,), generator=generator(seed, 1))] += sure
    return z


def test_it_tells_the_sure_from_the_unsure():
    share = measures.membership(logits(500, 12, 0), logits(300, 1, 1), logits(200, 12, 2))
    assert share > 0.95
    assert measures.membership(logits(500, 12, 0), logits(300, 1, 1), logits(200, 1, 3)) < 0.05


def test_with_nothing_to_tell_it_says_member_half_of_the_time():
    share = measures.membership(logits(4000, 3, 0), logits(1000, 3, 1), logits(2000, 3, 2))
    assert 0.35 < share < 0.65


def test_it_does_not_know_which_class_is_which():
    parts = [logits(100, 3, seed) for seed in range(3)]
    turned = [z[:, torch.randperm(10, generator=generator(9))] for z in parts]
    assert measures.membership(*parts) == measures.membership(*turned)


@pytest.mark.parametrize("bad", [torch.ones(3), torch.full((3, 10), float("nan")), torch.ones(0, 10)])
def test_bad_logits_are_refused(bad):
    with pytest.raises(ValueError, match="asked must hold finite logits"):
        measures.membership(logits(9, 1, 0), logits(9, 1, 1), bad)
    with pytest.raises(ValueError, match="one width"):
        measures.membership(logits(9, 1, 0), logits(9, 1, 1), torch.ones(3, 4))
