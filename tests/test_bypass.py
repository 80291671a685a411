"""One picture against a rule of refusal: the toy, the attack from either side, and the rule that no picture reaches."""

import pytest
import torch

from sslwork import bypass, data
from sslwork.plots.bypass import bypassed
from sslwork.seeds import generator
from sslwork.toys import refusal

SEEN, UNSEEN = refusal.LOCKED[:3], refusal.LOCKED[3:]


@pytest.fixture(scope="module")
def digits():
    """Digits of 16 x 16."""
    small = data.load("digits")[range(200)]
    return data.PictureSet(small.images.repeat_interleave(2, 2).repeat_interleave(2, 3), small.labels)


@pytest.fixture(scope="module")
def models(digits):
    found = {late: refusal.Assistant(late=late) for late in (False, True)}
    for model in found.values():
        refusal.train(model, digits, steps=60)
    return found


def scene(model, digits, instructions, count=6):
    x, y = digits.images[:count] / 255, digits.labels[:count]
    ordinary = refusal.answers(y[:, None].expand(-1, len(instructions)), instructions.expand(count, -1))
    return x, model.text(instructions).detach(), ordinary


def test_answers_and_rule():
    digit = torch.tensor([7])
    every = torch.arange(40)
    said = refusal.answers(digit.expand(40), every)
    assert [set(part.tolist()) for part in said.split(8)] == [{7}, {1}, {1}, {8}, {2}]
    ruled = refusal.right(digit.expand(40), every)
    assert (ruled == refusal.REFUSE).nonzero().flatten().tolist() == refusal.LOCKED.tolist()
    assert len(refusal.LOCKED) == 12 and torch.equal(ruled[ruled < 10], said[ruled < 10])


def test_training_lowers_the_loss_and_hardening_adds_a_part(digits):
    model = refusal.Assistant()
    losses = refusal.train(model, digits, steps=30)
    assert sum(losses[-5:]) < sum(losses[:5]) and not model.training
    plain, hard = (refusal.train(refusal.Assistant(), digits, steps=1, eps=eps)[0] for eps in (0.0, 0.1))
    assert hard > plain


def test_the_picture_stays_in_box_and_ball_and_the_weights_as_they_were(models, digits):
    model = models[False]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, text, goal = scene(model, digits, SEEN)
    made = bypass.craft(model, x, text, goal, eps=0.2, n_iter=5)
    assert made.min() >= 0 and made.max() <= 1 and (made - x).abs().max() <= 0.2 + 1e-6
    assert made.shape == x.shape  # one picture for all instructions
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(bypass.craft(model, x, text, goal, eps=0, n_iter=2), x)
    once = bypass.craft(model, x, text, goal, eps=0.2, n_iter=1, random_start=False)
    assert (once - x).abs().max() == pytest.approx(0.02)  # a tenth of eps


def test_the_objective_is_the_sum_over_the_instructions_and_is_raised(models, digits):
    x, text, goal = scene(models[False], digits, SEEN)
    seen = []
    made = bypass.craft(
        models[False], x, text, goal, eps=0.3, n_iter=10, callback=lambda k, at, raised: seen.append(raised)
    )
    loop = [
        sum(models[False](made[n : n + 1], text[m : m + 1]).log_softmax(2)[0, 0, goal[n, m]] for m in range(3)).item()
        for n in range(len(x))
    ]  # fmt: skip
    best = torch.stack(seen).amax(0)
    torch.testing.assert_close(best, torch.tensor(loop), rtol=1e-4, atol=1e-4)
    assert (best >= seen[0]).all() and best.sum() > seen[0].sum()


def test_late_rule_is_out_of_the_pictures_reach(models, digits):
    model = models[True]
    x, text, goal = scene(model, digits, UNSEEN)
    x = x.clone().requires_grad_()
    logits = model(x, text)
    torch.testing.assert_close(logits.exp().sum(2), torch.ones(logits.shape[:2]))
    refuse = logits[..., refusal.REFUSE]
    assert (refuse == refuse[:1]).all()
    (gradient,) = torch.autograd.grad(refuse.sum(), x, materialize_grads=True)
    assert not gradient.any()  # exactly: a structure, not a mask
    (answered,) = torch.autograd.grad(model(x, text)[..., 0].sum(), x)
    assert answered.any()
    if_ruled = model.rule(text).flatten() > 0
    assert if_ruled.any()
    noise = torch.rand(50, *x.shape[1:], generator=generator(3))
    made = bypass.craft(model, x.detach(), text, goal, eps=1, n_iter=20)
    for pictures in (noise, made):
        said = model(pictures, text[if_ruled]).argmax(2)
        assert (said == refusal.REFUSE).all()


def test_the_early_rule_reads_the_fused_features(models, digits):
    x, text, _ = scene(models[False], digits, SEEN)
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(models[False](x, text)[..., refusal.REFUSE].sum(), x)
    assert gradient.any()


def test_rates_tell_not_refused_from_answered_right():
    said = torch.tensor([[10, 3], [2, 10], [5, 5], [10, 10]])
    model = lambda x, text: torch.nn.functional.one_hot(said, 11).float()  # noqa: E731
    found = bypass.rates(model, torch.zeros(4), torch.zeros(2, 1), torch.full((4, 2), 5), refuse=10)
    assert (found.bypass, found.correct) == (0.5, 0.25)
    assert found.low < 0.5 < found.high


def test_the_shift_of_the_text_is_no_longer_than_eps(models, digits):
    x, text, goal = scene(models[False], digits, SEEN)
    shift = bypass.craft_text(models[False], x, text, goal, eps=0.7, n_iter=5)
    assert shift.shape == (6, 32) and shift.norm(dim=1).max() <= 0.7 + 1e-5
    assert not bypass.craft_text(models[False], x, text, goal, eps=0, n_iter=1).any()


def test_the_best_word_is_the_best_of_all(models, digits):
    model = models[False]
    x, _, goal = scene(model, digits, SEEN)
    with torch.no_grad():
        texts = torch.stack([model.text(SEEN, c) for c in range(refusal.CONTEXTS)])
        found = bypass.best_word(model, x, texts, goal)
        for n in range(len(x)):
            sums = [
                sum(model(x[n : n + 1], text).log_softmax(2)[0, m, goal[n, m]].item() for m in range(3))
                for text in texts
            ]
            assert sums[found[n]] == pytest.approx(max(sums), abs=1e-5)


def test_the_direction_leads_from_answered_to_refused():
    rows, refused = torch.tensor([[0.0, 0], [0, 2], [3, 1], [5, 1]]), torch.tensor([False, False, True, True])
    torch.testing.assert_close(bypass.direction(rows, refused), torch.tensor([1.0, 0]))
    with pytest.raises(ValueError, match="some rows and not all"):
        bypass.direction(rows, refused | True)
    with pytest.raises(ValueError, match="NaN"):
        bypass.direction(rows * torch.nan, refused)


def test_targets_of_another_shape_are_refused(models, digits):
    x, text, goal = scene(models[False], digits, SEEN)
    with pytest.raises(ValueError, match="targets must have shape"):
        bypass.craft(models[False], x, text, goal[:, :2], eps=0.1)
    with pytest.raises(ValueError, match="targets must have shape"):
        bypass.craft_text(models[False], x, text, goal[:, :2], eps=0.1)


def test_a_model_without_answers_is_not_counted_as_bypassed():
    broken = lambda x, text: torch.full((4, 2, 11), torch.nan)  # noqa: E731
    with pytest.raises(ValueError, match="without NaN"):
        bypass.rates(broken, torch.zeros(4), torch.zeros(2, 1), torch.zeros(4, 2), refuse=10)


def test_the_figure_shows_each_instruction_and_refuses_what_does_not_fit():
    x, refused = torch.rand(4, 1, 8, 8, generator=generator(1)), torch.ones(4, 2, dtype=torch.bool)
    fig = bypassed(x, {"seen": [1.0, 0.5], "unseen": [1.0, 0.9]}, refused, ["name", "next"], first=1)
    curves, grid, _ = fig.axes
    assert [len(line.get_xdata()) for line in curves.lines] == [2, 2]
    assert [label.get_text() for label in grid.get_yticklabels()] == ["name", "next"]
    with pytest.raises(ValueError, match="pictures by names"):
        bypassed(x, {}, refused.T, ["name", "next"], first=1)
