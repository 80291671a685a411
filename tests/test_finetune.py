"""Distillation, heads cut in the middle, and fine-tuning: who learns, from what, and what must not move."""

import copy
import math

import pytest
import torch

from sslwork import data, embed, encoders, finetune, heads, methods
from sslwork.losses import distillation
from sslwork.seeds import generator
from sslwork.views import Views

QUICK = {"views": Views(), "progress": False}


def logits(n=4, c=3, seed=0):
    return torch.randn(2, n, c, generator=generator(seed), dtype=torch.double) * 2


def by_loop(student, teacher, temperature):
    total = 0.0
    for s, t in zip((student / temperature).tolist(), (teacher / temperature).tolist(), strict=True):
        p = [math.exp(x) / sum(map(math.exp, t)) for x in t]
        q = [math.exp(x) / sum(map(math.exp, s)) for x in s]
        total -= sum(a * math.log(b) for a, b in zip(p, q, strict=True)) / len(student)
    return total


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_distillation_is_the_formula(temperature):
    s, t = logits()
    assert distillation(s, t, temperature=temperature).item() == pytest.approx(by_loop(s, t, temperature))
    s.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: distillation(s, t, temperature=temperature), s)
    distillation(s, t.requires_grad_(), temperature=temperature).backward()
    gap = (s / temperature).softmax(1) - (t / temperature).softmax(1)
    torch.testing.assert_close(s.grad, (gap / (temperature * len(s))).detach())
    assert t.grad is None, "the teacher learns nothing"


def test_the_entropy_of_the_teacher_is_the_least():
    s, t = logits()
    entropy = -(t.softmax(1) * t.log_softmax(1)).sum(1).mean()
    assert distillation(s, t) > entropy
    shifted = (t + torch.arange(4.0)[:, None]).requires_grad_()  # a constant per row changes no probability
    loss = distillation(shifted, t)
    loss.backward()
    torch.testing.assert_close(loss.detach(), entropy)
    torch.testing.assert_close(shifted.grad, torch.zeros_like(t))


def test_a_sure_teacher_is_a_label_and_a_hot_one_a_regression():
    s, t = logits()
    labels = torch.tensor([2, 0, 1, 1])
    sure = 1000 * torch.nn.functional.one_hot(labels, 3).double()
    torch.testing.assert_close(distillation(s, sure), torch.nn.functional.cross_entropy(s, labels))
    s.requires_grad_()
    distillation(s, t, temperature=1e4).backward()
    gap = (s - s.mean(1, keepdim=True)) - (t - t.mean(1, keepdim=True))
    torch.testing.assert_close(s.grad * 1e8, gap.detach() / (3 * 4), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("s", "t", "options", "says"),
    [
        (torch.zeros(3, 4), torch.zeros(3, 5), {}, "of one shape"),
        (torch.zeros(3, 4), torch.zeros(3, 4) * torch.nan, {}, "teacher_logits holds NaN"),
        (torch.zeros(3, 4), torch.zeros(3, 4), {"temperature": 0}, "temperature must be"),
        (torch.zeros(3), torch.zeros(3), {}, "student_logits must have shape"),
    ],
)
def test_bad_logits(s, t, options, says):
    with pytest.raises(ValueError, match=says):
        distillation(s, t, **options)


# Heads


def test_first_layers_are_shared_and_end_behind_a_relu():
    head = heads.mlp(6, 5, 4, layers=3, last_norm=True)
    assert [type(part).__name__ for part in head[-2:]] == ["Linear", "BatchNorm1d"]
    assert head[-2].bias is None and head[-1].bias is None
    assert len(heads.first_layers(head, 0)) == 0
    first = heads.first_layers(head, 1)
    assert first[0] is head[0] and isinstance(first[-1], torch.nn.ReLU) and len(first) == 3
    assert head(torch.randn(8, 6, generator=generator(0))).shape == (8, 4)
    with pytest.raises(ValueError, match=r"count must lie in 0\.\.2"):
        heads.first_layers(head, 3)


def test_a_reweighting_head_learns_nothing():
    y = torch.randn(5, 3, generator=generator(0))
    assert torch.equal(heads.Reweighting(3, kappa=1.0)(y), y)
    head = heads.Reweighting(3, kappa=1.5)
    torch.testing.assert_close(head(y), y * torch.tensor([1, 1 / 1.5, 1 / 1.5**2]))
    assert not list(head.parameters()) and "weights" in head.state_dict()
    with pytest.raises(ValueError, match="at least 1"):
        heads.Reweighting(3, kappa=0.5)


# Fine-tuning


@pytest.fixture
def method():
    method = methods.SimCLR(encoders.conv(4, 2))
    method.head = heads.mlp(8, 8, 16, layers=3, last_norm=True)
    return method


def state(module):
    return copy.deepcopy(module.state_dict())


def moved(module, before):
    return [name for name, value in module.state_dict().items() if not torch.equal(value, before[name])]


def test_a_classifier_starts_undecided_and_is_larger_by_one_layer(method, stickers):
    plain, middle = (finetune.classifier(method, 48, selector=selector) for selector in (0, 1))
    for model in (plain, middle):
        assert not embed(model, stickers).any()
        first = finetune.finetune(model, stickers, steps=1, **QUICK)[0]
        assert first == pytest.approx(math.log(48))
    sizes = [sum(p.numel() for p in list(model.parameters())[:-2]) for model in (plain, middle)]
    assert sizes[1] - sizes[0] == 8 * 8 + 2 * 8, "a map without bias, and a norm"


def test_a_classifier_keeps_what_was_learnt_up_to_the_cut(method):
    """Selector 0 is a linear map on the encoder, ordinary fine-tuning; selector 1 has the first layer of the head too."""
    for selector in (0, 1):
        encoder, first, _ = finetune.classifier(method, 48, selector=selector)
        assert len(first) == 3 * selector
        assert not moved(encoder, method.encoder.state_dict())
        assert not moved(first, heads.first_layers(method.head, selector).state_dict())


def test_student_and_teacher_see_the_same_views(stickers):
    seen = []

    class Watched(torch.nn.Sequential):
        def forward(self, x):
            seen.append(x)
            return super().forward(x.flatten(1))

    student, teacher = (Watched(heads.mlp(768, 8, 5, layers=1, seed=seed)) for seed in (0, 1))
    finetune.distil(student, teacher, stickers, steps=2, **QUICK)
    for one, other in (seen[:2], seen[2:]):
        assert torch.equal(one, other)
    assert not torch.equal(seen[0], seen[2])


def test_finetuning_moves_all_weights_and_leaves_the_method(method, stickers):
    before = state(method)
    model = finetune.classifier(method, 48)
    untouched = state(model)
    few = data.per_class(stickers, 2)
    history = finetune.finetune(model, few, steps=60, lr=0.02, **QUICK)
    assert history[-1] < 0.8 * history[0]
    assert not moved(method, before)
    names = {name for name, _ in model.named_parameters()}
    assert names <= set(moved(model, untouched))


def test_finetuning_repeats_itself(method, stickers):
    models = [finetune.classifier(method, 48) for _ in range(2)]
    runs = [finetune.finetune(model, stickers, steps=3, seed=5, **QUICK) for model in models]
    assert runs[0] == runs[1] and not moved(models[0], state(models[1]))


def test_nothing_in_a_teacher_moves(method, stickers):
    teacher, student = finetune.classifier(method, 48), finetune.classifier(method, 48, selector=0)
    finetune.finetune(teacher, stickers, steps=40, **QUICK)
    before = state(teacher)
    unlabelled = data.PictureSet(stickers.images)
    history = finetune.distil(student, teacher, unlabelled, steps=60, **QUICK)
    assert (
        not moved(teacher, before) and teacher.training and all(p.requires_grad for p in teacher.parameters())
    )
    assert history[-1] < history[0]


def test_distillation_with_labels_is_a_weighted_sum(method, stickers):
    teacher = finetune.classifier(method, 48)
    finetune.finetune(teacher, stickers, steps=5, **QUICK)
    sums = []
    for share in (0.0, 0.5, 1.0):
        student = finetune.classifier(methods.SimCLR(encoders.conv(4, 2, seed=1)), 48)
        sums += finetune.distil(student, teacher, stickers, labelled=stickers, share=share, steps=1, **QUICK)
    assert sums[1] == pytest.approx((sums[0] + sums[2]) / 2)


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda m, p: finetune.classifier(m, 1), ValueError, "classes must be at least 2"),
        (lambda m, p: finetune.classifier(m, 3, selector=3), ValueError, r"count must lie in 0\.\.2"),
        (lambda m, p: finetune.finetune(m, data.PictureSet(p.images), **QUICK), ValueError, "labels is None"),
        (lambda m, p: finetune.finetune(m, p[:1], **QUICK), ValueError, "at least two pictures"),
        (lambda m, p: finetune.distil(m, m, p, share=2, **QUICK), ValueError, r"share must lie in 0\.\.1"),
    ],
)
def test_bad_calls(call, kind, says, method, stickers):
    with pytest.raises(kind, match=says):
        call(method, stickers)


def test_other_heads_cannot_be_cut(method):
    method.head = torch.nn.Identity()
    with pytest.raises(TypeError, match=r"heads\.mlp, got Identity"):
        finetune.classifier(method, 3)
