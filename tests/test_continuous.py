"""Continuous attacks and the two losses against them: the formulas as loops, what stays put, and the toy language."""

import math

import pytest
import torch

from sslwork import continuous
from sslwork.continuous import Reply
from sslwork.seeds import generator
from sslwork.toys import commands


@pytest.fixture(scope="module")
def scene():
    """An untrained model in training mode, prompts with the unwanted reply, their labels, and what may be moved."""
    model = commands.Speaker(16, heads=2, layers=1, seed=1)
    prompts = commands.prompts(5, flagged=True, seed=2)
    ids, labels = commands.sequences(prompts, commands.replies(prompts, obey=True))
    return model, ids, labels, torch.nn.functional.pad(prompts != commands.PAD, (0, commands.REPLY))


def reply(seed, n=3, t=4):
    log_p = (
        torch.randn(n, t, generator=generator(seed), dtype=torch.double).abs().neg().mul(4).requires_grad_()
    )
    return Reply(log_p, torch.rand(n, t, generator=generator(seed, 1)).sort(1).values > 0.3)


def test_a_reply_is_read_one_place_before_its_words_and_nothing_else_matters():
    logits = torch.randn(2, 5, 7, generator=generator(0), dtype=torch.double)
    labels = torch.tensor([[-100, -100, 3, 1, -100], [-100, 2, -100, -100, 6]])
    found = continuous.read(logits, labels)
    total = []
    for n in range(2):
        row = [logits[n, t - 1].log_softmax(0)[labels[n, t]].item() for t in range(1, 5) if labels[n, t] >= 0]
        assert found.mean()[n].item() == pytest.approx(sum(row) / len(row))
        total += row
    assert found.cross_entropy().item() == pytest.approx(-sum(total) / len(total))
    torch_says = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    torch.testing.assert_close(found.cross_entropy(), torch_says)
    logits[0, 3:] = 99.0  # no label of row 0 is read there
    torch.testing.assert_close(continuous.read(logits, labels).mean()[0], found.mean()[0])


def test_only_words_of_the_prompt_move_and_no_farther_than_eps(scene):
    model, ids, labels, prompt = scene
    before = [p.detach().clone() for p in model.parameters()]
    delta = continuous.attack(model, ids, labels, prompt, eps=0.3)
    assert not delta[~prompt].any() and not delta.requires_grad
    assert delta.norm(dim=2).max() <= 0.3 + 1e-6
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not continuous.attack(model, ids, labels, prompt, eps=0).any()


def test_the_reply_stays_while_the_attack_looks_for_the_prompts_shift(scene):
    """A reply that moved along would be read from a point that is not the one given back."""
    model, ids, labels, prompt = scene
    seen = []
    continuous.attack(
        model, ids, labels, prompt, eps=0.3, n_iter=3, callback=lambda k, at, raised: seen.append(at)
    )
    before = model.embed(ids)[~prompt]
    assert seen and all(torch.equal(at[~prompt], before) for at in seen)


def test_one_long_step_ends_on_the_rim(scene):
    delta = continuous.attack(*scene, eps=0.3, step=0.3 / 16**0.5, n_iter=1)
    torch.testing.assert_close(delta[scene[3]].norm(dim=1), torch.full((int(scene[3].sum()),), 0.3))


def test_small_steps_make_the_unwanted_reply_ever_likelier(scene):
    seen = []
    continuous.attack(
        *scene, eps=0.3, step=1e-3, n_iter=8, callback=lambda k, at, raised: seen.append(raised)
    )
    assert (torch.stack(seen).diff(dim=0) > 0).all()  # log p of the unwanted reply, in each row


@pytest.mark.parametrize("away", ["ce", "1-p"])
def test_c_advul_is_its_formula(away):
    ok, bad, utility = reply(1), reply(2), reply(3)

    def words(part):
        return [part.log_p[i, j].item() for i, j in part.counted.nonzero().tolist()]

    toward = -sum(words(ok)) / len(words(ok))
    toward = toward if toward >= 3.5 else 3.5 + 0.001 * toward
    far = sum(words(bad)) / len(words(bad))
    far = far if far >= -2 else -2 + 0.001 * far
    if away == "1-p":
        far = sum(-math.log(1 - math.exp(w)) if w >= -2 else 0 for w in words(bad)) / len(words(bad))
    wanted = -1.5 * sum(words(utility)) / len(words(utility)) + 0.7 * toward + 0.2 * far
    found = continuous.c_advul(ok, bad, utility, w_u=1.5, w_t=0.7, w_a=0.2, t0=3.5, a0=-2, away=away)
    assert found.item() == pytest.approx(wanted)
    torch.testing.assert_close(
        continuous.c_advul(ok, bad, utility, w_t=0, w_a=0), utility.cross_entropy()
    )  # usual training is left


def test_below_its_floor_a_part_keeps_a_thousandth_of_its_gradient():
    ok, bad = reply(1), reply(2)
    (free,) = torch.autograd.grad(continuous.c_advul(ok, bad, w_t=0, a0=-1e9), bad.log_p)
    (floored,) = torch.autograd.grad(continuous.c_advul(ok, bad, w_t=0, a0=-0.01), bad.log_p)
    torch.testing.assert_close(floored, free * 0.001)


def test_minus_log_one_minus_p_at_its_ends():
    def away(*log_p):
        bad = Reply(torch.tensor([log_p], dtype=torch.double), torch.ones(1, len(log_p), dtype=torch.bool))
        return continuous.c_advul(bad, bad, w_t=0, w_a=1, away="1-p").item()

    assert away(-4.99) < 0.007 and away(-30.0) == 0
    assert away(math.log(0.5)) == pytest.approx(math.log(2))
    assert away(math.log(0.5), -30.0) == pytest.approx(math.log(2) / 2)  # counted as 0, and counted
    assert math.isfinite(away(0.0))


def test_c_advipo_is_its_formula():
    ok, bad = reply(1), reply(2)
    ref_ok, ref_bad = torch.randn(2, 3, generator=generator(4), dtype=torch.double)
    total = 0.0
    for n in range(3):
        rows = []
        for part, cut in ((ok, lambda v: 0.0 if v > -0.5 else v), (bad, lambda v: 0.0 if v < -3 else v)):
            words = [cut(part.log_p[n, t].item()) for t in range(part.log_p.shape[1]) if part.counted[n, t]]
            rows.append(sum(words) / len(words))
        h = rows[0] - rows[1] - (ref_ok[n] - ref_bad[n]).item()
        total += (h - 1 / (2 * 0.4)) ** 2 / 3
    found = continuous.c_advipo(ok, bad, ref_ok, ref_bad, beta=0.4, t0=0.5, a0=-3)
    assert found.item() == pytest.approx(total)


def test_c_advipo_is_4_at_the_reference_and_0_at_a_lead_of_2():
    ok, bad = reply(1), reply(2)
    free = {"a0": -1e9}
    refs = ok.mean().detach(), bad.mean().detach()
    assert continuous.c_advipo(ok, bad, *refs, **free).item() == pytest.approx(4)
    assert continuous.c_advipo(ok, bad, refs[0] - 2, refs[1], **free).item() == pytest.approx(0, abs=1e-12)
    slopes = [  # linear in h: twice as far from 2, twice the slope
        torch.autograd.grad(continuous.c_advipo(ok, bad, refs[0] + by, refs[1], **free), ok.log_p)[0]
        for by in (0, 2)
    ]
    torch.testing.assert_close(slopes[1], 2 * slopes[0])


def test_the_losses_have_the_gradient_of_their_values():
    counted = reply(1).counted

    def both(a, b):
        ok, bad = Reply(a, counted), Reply(b, counted)
        zero = torch.zeros(3, dtype=torch.double)
        return continuous.c_advul(ok, bad, away="1-p") + continuous.c_advipo(ok, bad, zero, zero)

    assert torch.autograd.gradcheck(both, (reply(1).log_p, reply(2).log_p))


def test_the_discrete_attack_changes_its_places_only_and_never_for_the_worse(scene):
    model, ids, labels, _ = scene
    places = torch.tensor([7, 9])

    def loss(ids):
        return -continuous.read(model(model.embed(ids)), labels).mean()

    found = continuous.greedy_coordinate(model, ids, labels, places, commands.FREE, rounds=3, top=4)
    others = [t for t in range(ids.shape[1]) if t not in places.tolist()]
    assert torch.equal(found[:, others], ids[:, others])
    assert (loss(found) <= loss(ids) + 1e-6).all() and (loss(found) < loss(ids)).any()


def test_with_one_place_and_all_words_the_discrete_attack_is_exhaustive(scene):
    model, ids, labels, _ = scene
    place, words = torch.tensor([9]), commands.FREE
    found = continuous.greedy_coordinate(model, ids, labels, place, words, rounds=1, top=len(words))
    for row in range(len(ids)):
        tried = ids[row].repeat(len(words), 1)
        tried[:, 9] = words
        log_p = continuous.read(model(model.embed(tried)), labels[row].expand(len(words), -1)).mean()
        own = continuous.read(model(model.embed(found[row : row + 1])), labels[row : row + 1]).mean()
        assert own.item() == pytest.approx(log_p.max().item(), abs=1e-5)


def test_the_language_keeps_its_rule():
    assert len(set(commands.WORDS)) == len(commands.WORDS) == 60
    for flagged in (True, False):
        prompts = commands.prompts(50, flagged=flagged, tail="by")
        for row, said in zip(prompts, commands.replies(prompts), strict=True):
            words = commands.decode(row).split()
            assert (words[3] in commands.FLAGGED) == flagged and words[-1] in commands.FLAGGED
            assert commands.decode(said) == ("no" if flagged else f"ok {words[4]} {words[3]}")
    pairs = {
        split: {tuple(commands.decode(row).split()[3:5]) for row in commands.prompts(500, split=split, flagged=True)}
        for split in ("train", "test")
    }  # fmt: skip
    assert not pairs["train"] & pairs["test"]


def test_labels_are_the_reply_without_padding():
    ids, labels = commands.sequences(p := commands.encode("please paint the drum red"), commands.replies(p))
    assert ids.shape == (1, commands.PROMPT + commands.REPLY)
    assert labels[0].tolist() == [-100] * commands.PROMPT + [commands.NO, commands.END, -100, -100]


def test_training_lowers_the_loss():
    losses = commands.train(commands.Speaker(16, heads=2), steps=15, rule_steps=5, batch_size=32)
    assert len(losses) == 20 and losses[14] < losses[0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: continuous.attack(s[0], s[1], s[2], torch.ones_like(s[3]), eps=1), "leave out every word"),
        (lambda s: continuous.attack(s[0], s[1], s[2], s[3].int(), eps=1), "must be booleans"),
        (lambda s: continuous.attack(*s, eps=1, n_iter=0), "n_iter must be a whole number"),
        (lambda s: continuous.read(torch.zeros(2, 3, 4), torch.zeros(2, 4).long()), "do not fit"),
        (
            lambda s: continuous.read(torch.full((1, 3, 4), torch.nan), torch.zeros(1, 3).long()),
            "row 0 of logits holds NaN",
        ),
        (lambda s: continuous.read(torch.zeros(1, 3, 4), torch.full((1, 3), -100)), "asks for no word"),
        (lambda s: continuous.c_advul(reply(1), reply(2), a0=1), "minus_a0"),
        (lambda s: continuous.c_advul(reply(1), reply(2), away="far"), "away must be"),
        (
            lambda s: continuous.c_advipo(reply(1), reply(2), torch.zeros(3), torch.zeros(3), beta=0),
            "beta must",
        ),
        (lambda s: continuous.c_advipo(reply(1), reply(1), torch.zeros(3, 1), torch.zeros(3)), "ref_ok must"),
        (
            lambda s: continuous.c_advipo(reply(1), reply(1), torch.zeros(3), torch.full((3,), torch.nan)),
            "ref_bad must",
        ),
        (
            lambda s: continuous.greedy_coordinate(*s[:3], torch.tensor([10]), commands.FREE),
            "outside the reply",
        ),
        (lambda s: commands.encode("please sing"), "'sing' is not among"),
        (lambda s: commands.encode("please " * 11), "1 to 10 words"),
        (lambda s: commands.prompts(1, flagged=True, tail="none"), "tail"),
    ],
)
def test_bad_input(scene, call, says):
    with pytest.raises(ValueError, match=says):
        call(scene)
