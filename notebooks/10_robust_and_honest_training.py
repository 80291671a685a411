# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Robust and honest training
#
# A defence is easily claimed: try a weak attack, see it fail, publish. Here every defence has to meet the attacker
# **who knows it**, and the checks that tell *robust* from *hidden*.
#
# 1. *Robust training*: PGD-AT and TRADES, the two recipes everything else is compared with.
# 2. *Doubly robust AT* (DONE): which pictures should count more?
# 3. *SRAT*: what happens to rare classes, and whether weights can help them.
# 4. *RAW camera defence*: send the picture through a camera and back.
# 5. *Latent-space quantization defence* (LQ-VAE): send it through a code of bits and back.
# 6. *BEYOND*: do not answer when a picture disagrees with its own neighbours.
# 7. *Tracing attacks*: if you cannot prevent it, find out whose copy of the network was used.
#
# What can be moved is computed on the spot, with networks that are trained when they are first needed and kept. Numbers
# over seeds come from recorded studies of the code you see; change that code, and they are measured anew. Each system
# has a claim with a verdict that all seeds decide, and every section an exercise that checks itself.

# %%
import functools
import itertools

import pandas as pd
import torch
import torch.nn.functional as F

from sslwork import (
    attacks,
    claims,
    data,
    kept,
    losses,
    nets,
    plots,
    purify,
    robust,
    scale,
    studies,
    tracing,
    zoo,
)
from sslwork.preprocessing import Preprocessing
from sslwork.seeds import generator
from sslwork.widgets import Sliders

size = scale.current()
print(size)

# %% [markdown]
# What several sections share stands in the next cell, so that each of them can be run after these two alone: MNIST at
# 16 x 16 pixels, and the reference models of the first section. The last function serves the dashboards of the two
# filters: what an attacker makes of a picture, or noise of the same size, the control.

# %%
REF_EPS = HARD_EPS = RARE_EPS = 0.15  # how far a pixel may be moved in the first three sections
MNIST = {split: data.load("mnist", split=split) for split in ("train", "test")}


def at_16(digits):
    """The same digits at 16 x 16 pixels."""
    pixels = Preprocessing(16)(data.to_float(digits.images)).clamp(0, 1)
    return data.PictureSet(pixels, digits.labels, digits.names, about=digits.about)


reference_train = hard_train = at_16(MNIST["train"][range(size.pick(smoke=300, lab=10_000, gpu=60_000))])
hard_test = at_16(MNIST["test"][range(size.pick(smoke=90, lab=1_500, gpu=10_000))])
reference_test = hard_test[range(size.pick(smoke=10, lab=200, gpu=10_000))]

# The last two sections draw theirs at random; a smaller draw is the head of a larger one.
as_they_are = {"size": 16, "turn": 0, "scale": (1, 1), "shift": 0}
known_digits = seller_digits = data.load(
    "affine-digits", count=size.pick(smoke=600, lab=10_000, gpu=50_000), **as_they_are
)
tested_digits = data.load(
    "affine-digits", split="test", count=size.pick(smoke=120, lab=600, gpu=4_000), **as_they_are
)

REF_KINDS = {"standard": "standard", "PGD-AT": "robust", "TRADES": "trades"}


def reference(name, seed=0):
    """One of the reference models, trained once and kept."""
    steps = size.pick(smoke=2, lab=240, gpu=3_000)
    return zoo.classifier(
        REF_KINDS[name], reference_train, seed=seed, eps=REF_EPS, steps=steps, progress=False
    )


def moved_by(knowledge, reader, lab, x, y, eps, n_iter):
    """Pictures after PGD by an attacker of this knowledge; or after noise of the same size, the control."""
    if knowledge == "noise":
        return tracing.sign_noise(x, eps, generator(5))
    return attacks.pgd(purify.Guarded(reader, lab, knowledge), x, y, eps=eps, n_iter=n_iter)


# %% [markdown]
# ## Robust training: what does it buy, and what does it cost?
#
# A net that was trained in the ordinary way is right on nearly every test picture, and wrong on nearly every picture
# that somebody has moved by a little on purpose. *Adversarial training* trains on the moved pictures. Two recipes have
# lasted.
#
# **PGD-AT** (Madry and others 2018, arXiv 1706.06083) looks for the worst picture in the ball around $x_i$ and learns
# from it, as if there were no other:
#
# $$\min_\theta \frac1N \sum_i \max_{\lVert x'_i - x_i \rVert_\infty \le \varepsilon} \mathrm{CE}(z_\theta(x'_i), y_i).$$
#
# **TRADES** (Zhang and others 2019, arXiv 1901.08573) wants two things apart: be right on the picture, and say the same
# of its neighbours. With $p = \mathrm{softmax}(z(x))$ and $p' = \mathrm{softmax}(z(x'))$,
#
# $$\min_\theta \frac1N \sum_i \mathrm{CE}(z_\theta(x_i), y_i) + \beta \, \mathrm{KL}(p_i \,\Vert\, p'_i),
# \qquad x'_i \text{ maximises the KL.}$$
#
# $\beta$ is the price of disagreement: 6 is usual, 1 gives more clean accuracy, 0 is ordinary training. The inner
# search starts from $x$ plus a little noise, since the KL has slope 0 at $x$ itself.
#
# Three details decide whether such a training works, and `robust.fit` sees to them: the moved pictures are made in
# *evaluation mode* (else batch norm learns from the search), the step is taken in training mode, and $\varepsilon$
# rises from 0 over the first part of the training (else a small net may give up and answer the same to everything). The
# whole loop is this:
#
# ```python
# adversarial = inner(model.eval(), x, y, draw)
# losses = loss(model.train(), x, adversarial, y)          # (N,)
# total = (weight(losses, y) * losses).mean() + extra(model, x, adversarial, y)
# ```
#
# The next sections fill in `weight` and `extra`. The reference models: MNIST at 16 x 16 pixels, 10,000 pictures, the
# small convolutional classifier, 240 steps of Adam (batches of 128, learning rate 0.002), $\varepsilon = 0.15$, PGD
# with 5 steps in training.

# %%
from sslwork.plots import trained_robustly

plots.pictures(reference_train[range(20)].images, columns=10)

# %% [markdown]
# ### The experiment
#
# Each model climbs the ladder: clean, FGSM, PGD-20, APGD on the cross entropy, APGD on the targeted DLR loss, Square
# (500 queries, no gradient). A picture counts as withstood only if it was named right before *and* under every attack
# so far, so the accuracy can only fall, and the last one is the one to quote. Beside it the same models under a growing
# $\varepsilon$, by PGD-20. Three seeds; the test pictures are the same.


# %%
def by_training(seed, *, kinds, radii, ladder):
    x, y = data.to_float(reference_test.images), reference_test.labels
    found = {}
    for name in kinds:
        net = reference(name, seed)
        rungs = attacks.evaluate(net, x, y, eps=REF_EPS, ladder=ladder, seed=seed)
        curve = [attacks.accuracy(net, attacks.pgd(net, x, y, eps=e, n_iter=20, seed=seed), y) for e in radii]
        found[name] = {
            "clean, %": 100 * rungs.accuracy["clean"],
            "PGD-20, %": 100 * rungs.accuracy["PGD-20"],
            "whole ladder, %": 100 * rungs.accuracy.iloc[-1],
            "stages": list(rungs.index),
            "ladder": 100 * rungs.accuracy.to_numpy(),
            "eps": radii,
            "PGD-20 by eps": [100 * each for each in curve],
        }
    return found


by_recipe = studies.run(
    "robust-training",
    by_training,
    seeds=size.seeds,
    kinds=list(REF_KINDS),
    radii=size.pick(smoke=[0.0, 0.15], lab=[0.0, 0.075, 0.15, 0.225, 0.3], gpu=[0.05 * i for i in range(7)]),
    ladder=size.pick(smoke=["FGSM", "PGD-20"], lab=list(attacks.LADDER), gpu=list(attacks.LADDER)),
)
print(by_recipe)
by_recipe.table()

# %%
trained_robustly.rungs(
    by_recipe,
    stages="stages",
    ladder="ladder",
    eps="eps",
    curve="PGD-20 by eps",
    n=len(reference_test),
    mark=REF_EPS,
)

# %% [markdown]
# Left, what is still named right after each attack (bars: 95 % intervals of 200 pictures); right, how that falls with
# $\varepsilon$; the grey line is the radius of training. Thin lines are seeds. The standard net starts highest, at 92
# %, and a single step of FGSM leaves it 2 to 6 %. The robust ones pay 3.5 to 5 points of clean accuracy and keep 46 to
# 51 % under PGD-20. That is not yet the figure to quote: the targeted DLR attack finds more, and 38 to 47 % remain at the
# end of the ladder; Square finds nothing beyond it. PGD-AT and TRADES lie within each other's bars. To the right of the
# grey line every curve goes down, to 3 % and less at twice the radius: robustness was bought for one radius, and is no
# property of the net as such.
#
# ### Is it robustness, or is something hidden?
#
# A net may also score well because its gradients mislead the attack. The nine checks of the notebook before this one,
# for both robust nets of seed 0. Each figure says what was measured; the column `meaning` of a report says what it
# tells. (A bare net needs no adaptive attack: whoever attacks it with PGD knows all there is to know.)

# %%
few_x = data.to_float(reference_test.images[: size.pick(smoke=4, lab=100, gpu=500)])
few_y = reference_test.labels[: len(few_x)]
masking = {
    name: attacks.masking_report(
        reference(name), few_x, few_y, eps=REF_EPS, other=reference(other), adaptive="PGD, the net is bare"
    )
    for name, other in (("PGD-AT", "TRADES"), ("TRADES", "PGD-AT"))
}
for name, report in masking.items():
    print(f"{name}: {report.passed.sum()} of {len(report)} checks passed")
pd.concat({name: report[["passed", "figure"]] for name, report in masking.items()}, axis=1)

# %% [markdown]
# ### See it
#
# Choose a net and a radius. Above, the pictures as they are; then as PGD leaves them; then with noise of the same size,
# every pixel moved by $\varepsilon$ up or down at random. That is the control: as much change, and nobody's purpose.
# Below each picture stands what the net calls it, in red where that is wrong.

# %%
seen_x, seen_y = data.to_float(reference_test.images[:60]), reference_test.labels[:60]


def see_answers(net, eps, steps):
    model = reference(net)
    noise = (torch.rand(seen_x.shape, generator=generator(3)) < 0.5).float() * 2 - 1
    rows = {
        "as it is": seen_x,
        f"PGD-{steps}": attacks.pgd(model, seen_x, seen_y, eps=eps, n_iter=steps),
        "noise of equal size": (seen_x + eps * noise).clamp(0, 1),
    }
    with torch.no_grad():
        told = {name: model(x).argmax(1) for name, x in rows.items()}
    right = {name: float((answer == seen_y).float().mean()) for name, answer in told.items()}
    fig = trained_robustly.answers(
        torch.stack([x[:10, 0] for x in rows.values()]).numpy(),
        list(rows),
        [[str(int(each)) for each in answer[:10]] for answer in told.values()],
        [(answer[:10] != seen_y[:10]).tolist() for answer in told.values()],
    )
    said = "; ".join(f"{name} {share:.0%}" for name, share in right.items())
    return fig, f"{net}, eps {eps:.2f}, named right of {len(seen_y)}: {said}."


Sliders(see_answers, net=list(REF_KINDS), eps=(0.0, 0.3, REF_EPS), steps=(1, 20, 10))

# %% [markdown]
# ### Exercise: the loss of TRADES
#
# Write it: logits of the clean and of the attacked pictures, labels, $\beta$; the mean over the batch. Two things will
# tell you whether it is right without any reference: at $\beta = 0$, and where the attack did nothing, it must be the
# plain cross entropy. And mind the order of the two arguments: $\mathrm{KL}(p \Vert p')$ weighs the classes by $p$.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "trades", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_trades(clean, attacked, labels, beta):
    ### BEGIN SOLUTION
    log_p, log_q = clean.log_softmax(1), attacked.log_softmax(1)
    apart = (log_p.exp() * (log_p - log_q)).sum(1)
    return (-log_p[torch.arange(len(labels)), labels] + beta * apart).mean()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "trades-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
one, two = torch.randn(2, 6, 4, generator=generator(5))
names = torch.tensor([0, 1, 2, 3, 0, 1])
plain = torch.nn.functional.cross_entropy(one, names)
assert torch.allclose(my_trades(one, two, names, 0.0), plain), (
    "at beta = 0 it is the cross entropy of the clean logits"
)
assert torch.allclose(my_trades(one, one, names, 6.0), plain), (
    "where nothing has changed there is nothing to pay"
)
assert not torch.allclose(my_trades(one, two, names, 6.0), losses.trades(two, one, names)), (
    "the two arguments of the KL"
)
assert torch.allclose(my_trades(one, two, names, 6.0), losses.trades(one, two, names)), "that is another loss"
print("TRADES: right.")

# %% [markdown]
# ## DONE: which pictures should adversarial training care about?
#
# Adversarial training minimises the *mean* loss of attacked pictures. A mean can be low while one class is given up:
# the nets below, trained in the plain way, name more than three quarters of the attacked zeros right, and of the attacked fives
# in two seeds of three not even one in ten. Many recipes give hard pictures a larger weight, mostly by some measure of
# how near they are to the boundary. Sow, Lin, Wang and Liang (2024, arXiv 2308.00311) take the weights from a worst
# case instead: let an opponent choose the weights, and charge him for being uneven.
#
# $$\min_\theta \max_{w} \; \sum_i w_i \, \ell_i - r \sum_i w_i \log(M w_i), \qquad w_i \ge 0, \; \sum_i w_i = 1.$$
#
# His best answer is known in closed form, and so is what he gains:
#
# $$w_i = \frac{e^{\ell_i / r}}{\sum_j e^{\ell_j / r}}, \qquad \Phi = r \log \frac1M \sum_i e^{\ell_i / r}, \qquad
# \frac{\partial \Phi}{\partial \ell_i} = w_i.$$
#
# The weights are the gradient of a softened maximum. At a high price $r$ they are all equal, and $\Phi$ is the mean:
# plain adversarial training. At a low one, the worst picture has all the weight.
#
# Data: MNIST at 16 x 16 pixels, the 10,000 pictures of the section before. The adversary may move each pixel by
# $\varepsilon = 0.15$.

# %%
from sslwork.robust.done import barrier_maximum, tilted, worst_weights


def by_weights(seed, *, steps, batch_size, lr, r, c, flipped, checked):
    """Each way of weighing: accuracy of the attacked test pictures, class by class, and what became of the losses."""
    third = len(hard_test) // 3
    x, y = data.to_float(hard_test.images), hard_test.labels

    def done(**more):
        way = robust.DONE(eps=HARD_EPS, r=r, c=c, **more)
        return {"inner": way.inner, "weight": way.weight, "extra": way.extra}

    def tilt(price):
        return {"weight": lambda losses, labels: len(losses) * worst_weights(losses, price)}

    wrong = hard_train.labels.clone()
    lots = torch.rand(len(wrong), generator=generator(seed, 78)) < flipped
    wrong[lots] = (wrong[lots] + torch.randint(1, 10, wrong.shape, generator=generator(seed, 79))[lots]) % 10
    liars = data.PictureSet(hard_train.images, wrong, hard_train.names)
    ways = {
        "AT": {}, f"tilted, r = {3 * r:g}": tilt(3 * r), f"tilted, r = {r:g}": tilt(r), f"tilted, r = {0.3 * r:g}": tilt(0.3 * r),
        "DONE, no implicit term": done(implicit=False), "DONE": done(), "AT, wrong labels": {}, "tilted, wrong labels": tilt(r),
    }  # fmt: skip
    found = {}
    for name, way in ways.items():
        net = nets.small_conv(seed=seed)
        pictures = liars if "wrong" in name else hard_train
        way = {"inner": robust.ascent(eps=HARD_EPS), "eps_ramp": 0.3} | way
        robust.fit(net, pictures, steps=steps, batch_size=batch_size, lr=lr, seed=seed, progress=False, **way)
        attacked = attacks.pgd(net, x, y, eps=HARD_EPS, n_iter=20, seed=seed)
        with torch.no_grad():
            clean, logits = net(x), net(attacked)
        right = (logits.argmax(1) == y) & (clean.argmax(1) == y)
        losses = attacks.cross_entropy(logits, y)
        if name == "AT":  # the three classes it handles worst, chosen on a third of the pictures
            shares = torch.stack([right[:third][y[:third] == k].float().mean() for k in range(10)])
            tail = shares.argsort()[:3]
        right, labels, losses = right[third:], y[third:], losses[third:]
        per_class = torch.stack([right[labels == k].float().mean() for k in range(10)])
        weights, hard = worst_weights(losses, r), torch.isin(labels, tail)
        found[name] = {
            "clean, %": 100 * attacks.accuracy(net, x[third:], labels),
            "robust, %": 100 * right.float().mean(),
            "worst class, %": 100 * per_class.min(),
            "three hard classes, %": 100 * right[hard].float().mean(),
            "per class": 100 * per_class,
            "mean loss": losses.mean(),
            "worst tenth": losses.topk(len(losses) // 10).values.mean() / losses.mean(),
            "weight of hard classes": 100 * weights[hard].sum(),
            "share of hard classes": 100 * hard.float().mean(),
        }
        if name == "DONE":
            few = slice(third, third + checked)
            report = attacks.masking_report(
                net, x[few], y[few], eps=HARD_EPS, adaptive="PGD, the net is bare"
            )
            found[name]["masking checks passed"] = int(report.passed.sum())
            found[name]["Square less PGD"] = report.figure.iloc[4]
    return found


weighed = studies.run(
    "done-weights",
    by_weights,
    seeds=size.seeds,
    steps=size.pick(smoke=2, lab=200, gpu=3_000),
    batch_size=size.pick(smoke=16, lab=128, gpu=128),
    lr=4e-3,
    r=1.0,
    c=0.001,
    flipped=0.05,
    checked=size.pick(smoke=2, lab=100, gpu=500),
)
print(weighed)
weighed.table()

# %% [markdown]
# The protocol, for every row alike: small convolutional classifier, 200 steps of Adam (batches of 128, learning rate
# 0.004), 5 steps of search, $\varepsilon$ rising from 0 over the first 30 %. Judged on 1,000 test pictures: a picture
# is *robust* if it is named right before and after PGD-20. One class is some 90 of them, so that a dot of *worst class*
# has an interval of about ±7 points. *AT* is plain PGD-AT, *tilted* has the weights and the ordinary search, *DONE*
# both halves of the paper, and one row leaves out its implicit term (see below). *Hard classes* are the three that AT
# handled worst on 500 other test pictures. *Worst tenth* is the mean loss of the worst tenth of attacked pictures over
# the mean of all. In the last two rows 5 % of the training labels are wrong.

# %%
plots.arms(weighed, "robust, %", "worst class, %", "three hard classes, %")

# %%
from sslwork.plots import reweighted

reweighted.classes(weighed, "per class", ["AT", "tilted, r = 1", "DONE"], hard_test.names)

# %% [markdown]
# Above, every row's seeds and their mean; here the same class by class. Look at the low bars, then at the high ones:
# what the weights give to the former they can only take from the latter, if the net has nothing to spare.
#
# ### Who gets the weight?
#
# The losses are those of pictures attacked by PGD-10 on the reference net (PGD-AT, the one of the section before).
# Lower $r$, and the weight moves from everybody to a few. The classes show who they are. $\eta$ is the second knob:
# training sees batches only, so DONE keeps a running mean $u \leftarrow (1 - \eta) u + \eta \, \mathrm{mean}\, e^{\ell
# / r}$ and takes $w_i = e^{\ell_i / r} / u$. Four batches pass by; you see the weights of the last. With $\eta = 1$
# their mean is 1, with less it is not.

# %%
weighed_net = reference("PGD-AT")
weighed_x = data.to_float(hard_train.images[:600])
weighed_y = hard_train.labels[:600]
with torch.no_grad():
    attacked_x = attacks.pgd(weighed_net, weighed_x, weighed_y, eps=HARD_EPS, n_iter=10)
    attacked_losses = attacks.cross_entropy(weighed_net(attacked_x), weighed_y)


def see_weights(r, eta):
    way = robust.DONE(eps=HARD_EPS, r=r, eta=eta)
    last = [way.weight(part, None) for part in attacked_losses.chunk(4)][-1]
    rows = slice(len(weighed_y) - len(last), None)
    fig = reweighted.weights(weighed_x[rows], weighed_y[rows], hard_train.names, last)
    losses = attacked_losses[rows]
    shares = last / last.sum()
    told = f"mean {losses.mean():.2f} <= Phi {tilted(losses, r):.2f} <= largest {losses.max():.2f} nats"
    return (
        fig,
        f"Mean weight {last.mean():.2f}, as if {1 / shares.square().sum():.0f} of {len(last)} pictures shared it all; {told}.",
    )


Sliders(see_weights, log=["r"], r=(0.1, 100.0, 1.0), eta=(0.05, 1.0, 0.2))

# %% [markdown]
# ### The second half: an example that moves smoothly
#
# The search for $\delta^*$ is a maximisation too, and $\theta$ moves its answer. On the rim of the ball the answer
# sticks; to differentiate it, DONE takes the rim away and lets a *barrier* hold the search inside:
#
# $$\delta^* = \arg\max_\delta \; \ell(\delta) + c \sum_k \left[\log(\varepsilon - \delta_k) + \log(\varepsilon + \delta_k)\right].$$
#
# Where the loss is a straight line of slope $g$ along a pixel, $\delta^* = (-c + \sqrt{c^2 + g^2 \varepsilon^2}) / g$:
# in the middle for a small $|g| \varepsilon / c$, near the rim for a large one. The implicit function theorem then
# gives what $\theta$ does to the loss through $\delta^*$, one term more in the gradient:
#
# $$\nabla_\theta \ell + \nabla_\theta \langle v, \nabla_\delta \ell \rangle, \qquad v = \frac{\nabla_\delta \ell}{h} \text{ held fixed},
# \qquad h_k = c \left[\frac{1}{(\varepsilon - \delta_k)^2} + \frac{1}{(\varepsilon + \delta_k)^2}\right].$$
#
# At the rim $h$ grows without bound and the term vanishes. ($h$ leaves out the curvature of the loss itself. That is
# exact for a loss that is linear in the picture. For a ReLU net it is not: its logits are linear in pieces, but the
# cross entropy bends them. And since pixels end at 0 and 1, our interval is what lies within both limits; on black
# paper it begins at 0.)
#
# Move $c$ and watch $\delta^*$ go from the middle to the rim.


# %%
def see_barrier(c, slope, eps):
    best = float(barrier_maximum(torch.tensor(slope), eps, c))
    h = c * (1 / (eps - best) ** 2 + 1 / (eps + best) ** 2)
    fig = reweighted.barrier(slope, eps, c, best)
    return (
        fig,
        f"delta* = {best:+.4f}, {abs(best) / eps:.0%} of the way to the rim; h = {h:.3g}, v = {slope / h:+.2g}.",
    )


Sliders(see_barrier, log=["c"], c=(1e-4, 1.0, 0.01), slope=(-0.3, 0.3, 0.08), eps=(0.05, 0.3, HARD_EPS))

# %%
for c in (0.1, 0.01, 0.001, 0.0001):
    way = robust.DONE(eps=HARD_EPS, c=c)
    found = way.inner(weighed_net, weighed_x[:200], weighed_y[:200], generator(1))
    middle, half = way.interval(weighed_x[:200])
    reach = ((found - weighed_x[:200] - middle).abs() / half).mean()
    with torch.no_grad():
        worse = attacks.cross_entropy(weighed_net(found), weighed_y[:200]).mean()
    print(f"c = {c:<6}: on average {reach:.0%} of the way to the rim; mean loss {worse:.2f}")
print(f"PGD-10: mean loss {attacked_losses[:200].mean():.2f}")

# %% [markdown]
# That is why $c$ is small here: slopes are, so a barrier of 0.01 to 0.1 nats would leave nine tenths of the ball
# unused. We took $c = 0.001$ before any result was seen, by an estimate of the slopes. As the last lines show, the
# training of DONE still meets a weaker adversary than PGD.
#
# ### The claim
#
# Set before we looked: for one of the three reweighted ways (tilted or DONE, $r = 1$) the worst class gains 2 points of
# robust accuracy over AT, and the mean loses no more than 2; the weights are heavy on the hard classes (5 points more
# of the weight than of the pictures); and as $r$ falls from AT ($r = \infty$) over 3 and 1 to 0.3 the losses of the
# worst tenth draw nearer to the mean at every step. A win of the implicit term, or a rise of the average, was *not*
# expected at this size.

# %%
from scipy.stats import t as student

REWEIGHTED = ("tilted, r = 1", "DONE, no implicit term", "DONE")
chosen = max(REWEIGHTED, key=lambda arm: weighed.mean(arm, "worst class, %"))
prices = ["AT", "tilted, r = 3", "tilted, r = 1", "tilted, r = 0.3"]
ratios = zip(*(weighed.values(arm, "worst tenth") for arm in prices), strict=True)
claim = claims.record(
    system="078",
    paper="Weights from distributionally robust optimisation make adversarial training better for the worst pictures, and on average.",
    measured=(
        f"MNIST 16 x 16, eps 0.15, {weighed.settings['steps']} steps of Adam; robust accuracy by PGD-20 on 1,000 test pictures; "
        f"the best of three reweighted ways ({chosen}) against plain PGD-AT."
    ),
    parts=[
        claims.Part(
            "worst class, reweighted less AT", weighed.difference(chosen, "AT", "worst class, %"), "points", 2
        ),
        claims.Part("mean, reweighted less AT", weighed.difference(chosen, "AT", "robust, %"), "points", -2),
        claims.Part(
            "weight of AT's three hard classes less their share",
            [
                arms[chosen]["weight of hard classes"] - arms[chosen]["share of hard classes"]
                for arms in weighed.results.values()
            ],
            "points",
            5,
        ),
        claims.Part(
            "least fall of worst tenth over mean loss, r = inf, 3, 1, 0.3",
            [min(a - b for a, b in itertools.pairwise(row)) for row in ratios],
            "of the mean",
            0,
        ),
    ],
    seconds=weighed.seconds,
)
print(f"{claim}\n")


def paired(arm, control, measure):
    """Differences by seed, and their 95 % interval (t, as many seeds as there are)."""
    by_seed = torch.tensor(weighed.difference(arm, control, measure))
    reach = student.ppf(0.975, len(by_seed) - 1) * by_seed.std() / len(by_seed) ** 0.5
    listed = ", ".join(f"{each:+.1f}" for each in by_seed)
    return f"{listed} points; {by_seed.mean() - reach:+.1f} to {by_seed.mean() + reach:+.1f}"


for arm, control in (
    ("DONE", "DONE, no implicit term"),
    ("DONE", "tilted, r = 1"),
    ("tilted, wrong labels", "AT, wrong labels"),
):
    for measure in ("worst class, %", "robust, %"):
        print(f"{arm} less {control}, {measure.removesuffix(', %')}: {paired(arm, control, measure)}")
print("DONE, masking checks passed:", weighed.values("DONE", "masking checks passed"), "of 9")

# %% [markdown]
# **What we see.** *Not seen at this scale*, and each part for another reason.
#
# - *Worst class.* Tilting alone gains 7 and 3 points in two seeds, and loses 3 in the third, where AT happened not to
#   give up a class. The three hard classes together, 300 pictures instead of 90, gain in every seed, but by 1 to 4
#   points only.
# - *Mean.* It costs nothing: 0 to 1 points more in every seed. This part holds.
# - *Weights.* They lean to the hard classes in every seed, by 4.7 to 5.2 points where 5 were asked for. Taken from the
#   losses of the AT nets they would lean by 2.5 to 12.
# - *The price.* As $r$ falls, the worst tenth of the losses goes from 2.6 to 2.8 times the mean over 2.2 to 2.3 and 1.8
#   to 1.3 times, at every step in every seed; the worst losses fall, and from $r = 1$ on the mean loss rises. That is just
#   what $\Phi$ asks for, and it is not the same as accuracy: at $r = 0.3$ the mean robust accuracy is lower than that
#   of AT in every seed.
#
# *DONE against tilting.* With the barrier the nets are 6 to 8 points less robust on average: they trained against a
# weaker adversary, as the list above shows. The implicit term wins back 0 to 2 of these points, with an interval that
# holds 0, and pays for them with 3 points of clean accuracy. A clear win was not expected here, and there is none.
#
# *Wrong labels.* The largest weights should go to the liars, and so to harm. We expected that, and it is not what came:
# with 5 % wrong labels tilting is still 0 to 3 points of mean robust accuracy ahead of AT. Its clean accuracy is lower,
# by up to 2 points.
#
# The nine checks against hidden gradients passed for DONE in every seed. The net is bare; PGD is the attack that knows
# all. The tilted nets were not checked: they are bare nets too, trained as PGD-AT is but for the weights, and the report
# of PGD-AT stands in the first section.
#
# ### Exercise: weights that survive
#
# Write `my_weights(losses, r)`, the closed form above; it has to survive losses of 800 nats. Then `my_step(losses, r)`:
# a scalar to call `backward` on, whose gradient is $\sum_i w_i \nabla \ell_i$. There are two right ways, $\Phi$ itself
# or fixed weights times losses. Doing both, or letting the gradient run through the weights, counts them twice; no
# error is raised, and training goes somewhere else.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "done", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_weights(losses, r):
    ### BEGIN SOLUTION
    raised = ((losses - losses.max()) / r).exp()
    return raised / raised.sum()
    ### END SOLUTION


def my_step(losses, r):
    ### BEGIN SOLUTION
    return (my_weights(losses, r).detach() * losses).sum()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "done-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
by_hand = my_weights(torch.tensor([1.0, 2.0, 3.0]).log(), 1.0)
assert torch.allclose(by_hand, torch.tensor([1 / 6, 1 / 3, 1 / 2])), (
    "(0, log 2, log 3) at r = 1 gives 1/6, 1/3, 1/2"
)
assert torch.allclose(my_weights(torch.tensor([800.0, 800.0, 0.0]), 1.0), torch.tensor([0.5, 0.5, 0.0])), (
    "exp(800) is no number"
)
some = torch.tensor([0.3, 1.7, 0.2, 2.5], requires_grad=True)
(slopes,) = torch.autograd.grad(my_step(some, 0.5), some)
assert torch.allclose(slopes, worst_weights(some.detach(), 0.5)), (
    "the gradient must be the weights, counted once"
)
print("The weights: counted once.")

# %% [markdown]
# ## SRAT: can weights rescue a rare class?
#
# Real classes are not equally frequent. A net trained in the ordinary way can live with that: give the rare pictures a
# larger weight, and it learns them too, at next to no cost for the others. Wang, Xu, Liu, Li, Thuraisingham and Tang (2021,
# arXiv 2107.13639) report that *adversarial* training cannot. It loses far more on the rare classes to begin with, and every weight that
# helps them is paid for by the frequent ones. Their reason: features of an adversarially trained net are poorly separated. Their
# remedy, SRAT, adds a loss that separates them.
#
# ### A line is enough to see it
#
# Two classes on a line: the frequent one around $-m$, the rare one around $+m$, both with deviation $s$, and $K$ frequent
# samples to one rare one, which counts $q$ times. The adversary moves every point by $\varepsilon$ towards the other class. The
# cut with the least weighted robust error lies, measured from the midpoint towards the rare class, at
#
# $$t = \frac{s^2}{2 (m - \varepsilon)} \log \frac{K}{q}, \qquad
# \text{error}_\text{frequent, rare} = \Phi_N\!\left(\frac{-(m - \varepsilon) \mp t}{s}\right), \qquad
# \frac{dt}{d \log q} = -\frac{s^2}{2 (m - \varepsilon)}.$$
#
# The last factor is the story. The closer $\varepsilon$ comes to $m$, or the wider the bells are, the further the cut
# moves for the same change of the weight, and what one class gains the other pays. Move $\varepsilon$ and the weight. At
# $q = K$ the errors are equal. At $\varepsilon = 0.5$ and $q = 1$ the cut lies beyond the middle of the rare class.
# Right: what the two classes get as $q$ runs from 1 to 1000, without and with the adversary, and where you are.

# %%
from sklearn.metrics import calinski_harabasz_score

from sslwork.plots import imbalance as imbalance_plots
from sslwork.robust import srat as srat_theory


def see_line(weight_of_rare, eps, spread, frequent_to_rare):
    case = {"mean": 1.0, "eps": eps, "std": spread}
    cut = srat_theory.threshold(weight_of_rare, ratio=frequent_to_rare, **case)
    frequent, rare = srat_theory.errors(cut, **case)
    fig = imbalance_plots.bells(cut, frequent_to_rare, weight_of_rare, **case)
    step = spread**2 / (2 * (1 - eps)) * torch.tensor(2.0).log().item()
    words = f"Cut at {cut:+.2f}; robust error {frequent:.1%} frequent, {rare:.1%} rare."
    return fig, f"{words} Doubling the weight moves the cut by {step:.2f}."


Sliders(
    see_line,
    log=["weight_of_rare", "frequent_to_rare"],
    weight_of_rare=(1.0, 100.0, 20.0),
    eps=(0.0, 0.9, 0.5),
    spread=(0.3, 1.5, 1.0),
    frequent_to_rare=(1.0, 200.0, 100.0),
)

# %% [markdown]
# ### The loss
#
# With $\phi(x'_i)$ the penultimate rows of the *attacked* pictures, $z_i$ the same at length one, $P(i)$ the others of the batch with
# the label of $i$, and $A$ those pictures for which $P(i)$ is not empty:
#
# $$L = \frac1N \sum_i w_{y_i} \mathrm{CE}\big(h(\phi(x'_i)), y_i\big) + \frac{\lambda}{|A|} \sum_{i \in A} \frac{-1}{|P(i)|}
# \sum_{p \in P(i)} \log \frac{e^{z_i z_p / T}}{\sum_{a \ne i} e^{z_i z_a / T}}.$$
#
# The second term is the supervised contrastive loss (`losses.supcon`). The attack stays that of plain adversarial training: it knows nothing
# of the weights. If it did, a larger weight would also mean another attack, and one could not tell which of them did what.
#
# Digits 0 to 4 are frequent here, 1,000 pictures each; 5 to 9 are rare, 20 each. A batch of 128 then holds 2.5 rare pictures, half
# a picture of each rare class. So how often does a rare picture in it have any other of its class beside it?


# %%
def rare_digits(frequent, rare):
    """MNIST at 16 x 16 with few of the digits 5 to 9; and a test set with equally many of each."""
    sets = []
    for split, sizes in (("train", [frequent] * 5 + [rare] * 5), ("test", [TESTED] * 10)):
        rows = torch.cat([(MNIST[split].labels == k).nonzero()[:n, 0] for k, n in enumerate(sizes)])
        sets.append(at_16(MNIST[split][rows]))
    return sets


TESTED = size.pick(smoke=5, lab=100, gpu=800)
rare_train, balanced_test = rare_digits(*size.pick(smoke=(50, 5), lab=(1_000, 20), gpu=(5_000, 100)))
print("pictures per class:", rare_train.labels.bincount().tolist())
lots = [torch.randperm(len(rare_train), generator=generator(k))[:128] for k in range(300)]
drawn = torch.stack([rare_train.labels[rows].bincount(minlength=10) for rows in lots])[:, 5:]
print(f"rare pictures alone in their batch: {100 * (drawn == 1).sum() / drawn.sum():.0f} %")

# %% [markdown]
# More than half of them have no positive there, and the second term says nothing about them, except as something to be away
# from. That is a limit of the method at this size, not of the paper's.
#
# ### The experiment
#
# Each net: 400 steps of Adam (batches of 128, learning rate 0.004), the small convolutional classifier. AT: PGD with 4 steps,
# $\varepsilon = 0.15$, rising from 0 over the first 40 % (without this the small net ends with one answer for all).
# Arms: *natural* training and AT with the rare pictures counted 1, 10 and 50 times; *SRAT* with 10 times and $\lambda = 0.3$ or 1, $T = 0.1$.
# Judged on as many of each class, clean and after PGD-12. *Scatter* is the spread between classes over
# the spread within them, of the penultimate rows of attacked test pictures at length one.


# %%
def by_rare_weight(seed, *, steps, batch_size, lr, weights, lams, checked):
    x, y = data.to_float(balanced_test.images), balanced_test.labels
    x_few, y_few = x[torch.arange(len(x)) % TESTED < checked], y[torch.arange(len(x)) % TESTED < checked]
    rare = y >= 5
    arms = {f"{how}, w = {w}": (how, w, 0.0) for how in ("natural", "AT") for w in weights}
    arms |= {f"SRAT, w = {weights[1]}, lam = {lam}": ("AT", weights[1], lam) for lam in lams}
    found = {}
    for name, (how, w, lam) in arms.items():
        net = nets.small_conv(seed=seed)
        way = robust.SRAT([1.0] * 5 + [w] * 5, lam=lam)
        if how == "natural":  # noqa: SIM108 - too long for one line
            attack = {}
        else:
            attack = {"inner": robust.ascent(eps=RARE_EPS, n_iter=4), "eps_ramp": 0.4}
        robust.fit(
            net, rare_train, weight=way.weight, extra=way.extra, steps=steps, batch_size=batch_size, lr=lr,
            seed=seed, progress=False, **attack,
        )  # fmt: skip
        attacked = attacks.pgd(net, x, y, eps=RARE_EPS, n_iter=12, seed=seed)
        clean = attacks.right(net, x, y)
        held = clean & attacks.right(net, attacked, y)
        with torch.no_grad():
            rows = torch.nn.functional.normalize(net.features(attacked))
        ratio = calinski_harabasz_score(rows, y) * 9 / (len(y) - 10)
        found[name] = {
            f"{what} {who}": 100 * right[which].float().mean()
            for what, right in (("clean", clean), ("robust", held))
            for who, which in (("frequent", ~rare), ("rare", rare), ("balanced", rare | ~rare))
        } | {"scatter": ratio}
        if lam == lams[0]:
            report = attacks.masking_report(
                net, x_few, y_few, eps=RARE_EPS, n_iter=12, adaptive="PGD, the net is bare"
            )
            found[name]["masking checks passed"] = int(report.passed.sum())
    return found


imbalanced = studies.run(
    "srat-weights",
    by_rare_weight,
    seeds=size.seeds,
    steps=size.pick(smoke=2, lab=400, gpu=3_000),
    batch_size=size.pick(smoke=16, lab=128, gpu=128),
    lr=4e-3,
    weights=[1, 10, 50],
    lams=[0.3, 1.0],
    checked=size.pick(smoke=1, lab=10, gpu=50),
)
print(imbalanced)
imbalanced.table(2)

# %%
RARE_LINES = {
    "natural": ["natural, w = 1", "natural, w = 10", "natural, w = 50"],
    "AT": ["AT, w = 1", "AT, w = 10", "AT, w = 50"],
    "SRAT, w = 10": ["AT, w = 10", "SRAT, w = 10, lam = 0.3", "SRAT, w = 10, lam = 1.0"],
}
beside = {
    arm: arm.split("lam")[-1].replace(" = ", "lam ") if "lam" in arm else arm.split(", ")[1]
    for arm in imbalanced.arms
}


def see_trade(pictures):
    across, up = f"{pictures} frequent", f"{pictures} rare"
    fig = imbalance_plots.trade(imbalanced, RARE_LINES, across, up, beside)
    told = []
    for name, (first, *_, last) in RARE_LINES.items():
        gains = [imbalanced.mean(last, measure) - imbalanced.mean(first, measure) for measure in (across, up)]
        told.append(f"{name}: rare {gains[1]:+.0f}, frequent {gains[0]:+.0f}")
    return fig, f"From one end of each line to the other, points on {pictures} pictures. {'; '.join(told)}."


Sliders(see_trade, pictures=["clean", "robust"])

# %% [markdown]
# Each line is one kind of training, its dots the weights 1, 10 and 50 (for SRAT, $\lambda$ from 0 on, at weight 10); up means more
# rare digits named right, right more of the frequent ones. Small dots are seeds. A line that goes straight up is a weight that costs
# nothing; one that leans left trades one class for the other. *robust* shows the same nets on pictures after PGD-12.
#
# ### The claim
#
# Set before we looked. At weight 1, AT is 10 points or more behind natural training on clean rare digits. From weight 1 to 50 AT's
# frequent digits lose 3 points more than those of natural training. SRAT, with the better $\lambda$, is no more than 1 point of robust
# balanced accuracy below AT of the same weight, and its features have a higher ratio of scatter. Expected, but not part of the claim: 2 points of
# clean balanced accuracy.

# %%
separated = max(
    (arm for arm in imbalanced.arms if arm.startswith("SRAT")),
    key=lambda arm: imbalanced.mean(arm, "robust balanced"),
)


def cost(how):
    return imbalanced.difference(f"{how}, w = 1", f"{how}, w = 50", "clean frequent")


claim = claims.record(
    system="081",
    paper="On imbalanced data adversarial training loses far more on rare classes, reweighting costs the frequent ones; separating features makes it work again.",
    measured=(
        f"MNIST 16 x 16, digits 5 to 9 fifty times rarer, eps 0.15, {imbalanced.settings['steps']} steps of Adam, PGD-4 in training, "
        f"PGD-12 on {TESTED} test pictures of each class; {separated} against AT, w = 10."
    ),
    parts=[
        claims.Part(
            "clean rare digits at weight 1, natural less AT",
            imbalanced.difference("natural, w = 1", "AT, w = 1", "clean rare"),
            "points",
            10,
        ),
        claims.Part(
            "what weight 50 costs clean frequent digits, AT less natural",
            [a - b for a, b in zip(cost("AT"), cost("natural"), strict=True)],
            "points",
            3,
        ),
        claims.Part(
            "robust balanced, SRAT less AT",
            imbalanced.difference(separated, "AT, w = 10", "robust balanced"),
            "points",
            -1,
        ),
        claims.Part(
            "scatter between over within, SRAT less AT",
            imbalanced.difference(separated, "AT, w = 10", "scatter"),
            "of the ratio",
            0,
        ),
    ],
    seconds=imbalanced.seconds,
)
print(f"{claim}\n")
for measure in ("clean balanced", "clean rare", "clean frequent", "robust balanced", "scatter"):
    by_seed = imbalanced.difference(separated, "AT, w = 10", measure)
    print(f"{separated} less AT, w = 10, {measure}: {', '.join(f'{each:+.1f}' for each in by_seed)}")
for w in (1, 10, 50):
    gaps = imbalanced.difference(f"natural, w = {w}", f"AT, w = {w}", "clean rare")
    print(f"clean rare digits at weight {w}, natural less AT: {', '.join(f'{each:+.1f}' for each in gaps)}")
checked = "SRAT, w = 10, lam = 0.3"
print(f"{checked}, masking checks passed: {imbalanced.values(checked, 'masking checks passed')} of 9")
low, high = attacks.wilson(
    round(imbalanced.mean(separated, "robust balanced") / 100 * len(balanced_test)), len(balanced_test)
)
print(
    f"{separated}, robust balanced, 95 % interval of one seed's pictures: {100 * low:.0f} to {100 * high:.0f} %"
)

# %% [markdown]
# **What we see.** *Not seen*, by a hair: two parts of four hold in every seed, the two others in two seeds of three.
#
# - *Rare digits, weight 1.* Natural training names 19 to 30 % of them, adversarial training 2 to 3 %. That is the paper's first
#   statement, and plain. At weight 10 the gap is still 20 points and more; at weight 50 it is gone.
# - *The price.* From weight 1 to 50 the frequent digits lose 5 to 7 points under AT and 1 to 2 under natural training. That is 2.4
#   points more in one seed and 4 to 5 in the others; 3 were asked for. On *attacked* pictures the trade is plainer: AT's rare
#   digits go from 0 to 19 %, its frequent ones from 82 to 63, and the balanced accuracy stays where it was.
# - *SRAT.* With $\lambda = 0.3$ the features lie further apart in every seed, and the balanced accuracy, clean or attacked, is that of
#   AT within 2.5 points to either side. With $\lambda = 1$ they lie further apart still, and the rare digits pay: 22 % of them are
#   named where AT of the same weight names 34. So a higher ratio of scatter is no success by itself. AT with weight 1, which has
#   given the rare digits up, has it too.
#
# Why so little gain? The second term has no weights, and more than half of the rare pictures find nobody of their class in a batch
# of 128, so that $\lambda$ works for the frequent digits. A sampler that brings two of each rare class together
# (`robust.fit(..., sampler=batches.OnePerCluster(labels))`) would be the first thing to try. The nine checks against hidden
# gradients passed for SRAT ($\lambda = 0.3$) in every seed. The other arms were not checked; all are bare nets, so that PGD is
# the attack that knows all.
#
# (We first measured 200 steps. Natural training had not learnt the rare digits by then, and the first part failed for want of
# anything to lose.)
#
# ### Exercise: two ways to count the rare
#
# A free weight has to be tuned. Cui and others (2019, arXiv 1901.05555) derive one from the *effective number* of samples: the more you
# have of a class, the more the next one repeats what was seen. $E_c = (1 - \beta^{n_c}) / (1 - \beta)$, weights $w_c \propto 1 / E_c$,
# scaled so that they sum to the number of classes. Write it. At $\beta = 0$ every class has $E = 1$; towards 1 it has $E = n_c$. Then write the
# theory's `my_cut`, and ask it which $\varepsilon$ makes the rare class vanish: at which of the given ones does the cut lie beyond $+m$?


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "srat", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_class_weights(counts, beta):
    ### BEGIN SOLUTION
    effective = (1 - beta ** counts.double()) / (1 - beta)
    return len(counts) / effective / (1 / effective).sum()
    ### END SOLUTION


def my_cut(q, ratio, m, eps, s):
    ### BEGIN SOLUTION
    return s**2 / (2 * (m - eps)) * torch.tensor(ratio / q).log().item()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "srat-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
three = torch.tensor([4, 2, 1])
wanted = 1 / torch.tensor([1.875, 1.5, 1.0], dtype=torch.double)
assert torch.allclose(my_class_weights(three, 0.5), 3 * wanted / wanted.sum()), (
    "E = 1.875, 1.5, 1 at beta = 0.5"
)
assert torch.allclose(my_class_weights(three, 0.0), torch.ones(3).double()), (
    "at beta = 0 all classes are equal"
)
assert abs(my_cut(1, 100, 1.0, 0.5, 1.0) - 4.605) < 1e-3, "eps = 0.5: 4.605"
assert abs(my_cut(1, 100, 2.0, 0.5, 0.5) - 0.384) < 1e-3, "m = 2, s = 0.5: 0.384"
assert my_cut(100, 100, 1.0, 0.3, 1.0) == 0, "q = K: the cut is in the middle"
vanished = [e for e in (0.0, 0.2, 0.4, 0.6) if my_cut(10, 100, 1.0, e, 0.9) > 1.0]
assert vanished == [0.2, 0.4, 0.6], "counted 10 times at 100 to 1, s = 0.9: which eps put the cut beyond m?"
print("Rare, and counted: right.")

# %% [markdown]
# ## RAW: does a picture come clean out of a camera?
#
# An attack changes each pixel a little, in a pattern that no scene would make. A camera could not have taken it: under
# its colour filter each pixel of the sensor measures *one* colour, and the other two are filled in afterwards. So
# Zhang, Dong and Heide (2022, arXiv 2112.09219) send every picture through a camera before the classifier sees it: a
# network $F$ guesses what the sensor would have measured, and from that the picture is developed anew. Neither attacked
# pictures nor the classifier are needed for training, and what cannot be written as sensor values should be gone.
#
# The paper learns $F$ from real pairs of sensor values and pictures. We have no such camera; here the sensor is
# simulated, and the pictures are MNIST's digits, each in some light ink on some dark paper. (Drawings of 32 x 32 pixels
# we tried first: there the mosaic alone, without any network, cost 15 to 32 points of accuracy, and nothing could be
# seen of a defence.)

# %%
from sslwork.plots import purified as purified_plots
from sslwork.purify import raw

raw_sizes = {
    "count": size.pick(smoke=200, lab=4_000, gpu=60_000),
    "steps": size.pick(smoke=2, lab=200, gpu=4_000),
    "classifier_steps": size.pick(smoke=4, lab=200, gpu=2_000),
}
RAW_EPS = 16 / 255
raw_looks = {"shown": size.pick(smoke=6, lab=100, gpu=1_000), "n_iter": size.pick(smoke=2, lab=20, gpu=40)}


def ink_digits(split, count, seed):
    """MNIST in some light ink on some dark paper: (N, 3, 28, 28)."""
    digits, draw = MNIST[split], generator(seed, ("train", "test").index(split), 101)
    rows = torch.randperm(len(digits), generator=draw)[:count]
    ink, paper = torch.rand(2, len(rows), 3, 1, 1, generator=draw)
    coloured = (0.4 * paper).lerp(0.6 + 0.4 * ink, digits.images[rows] / 255)
    return data.PictureSet(coloured, digits.labels[rows], digits.names)


def ink_reader(seed, *, count, steps, classifier_steps):
    return zoo.classifier(
        "standard", ink_digits("train", count, seed), seed=seed, steps=classifier_steps, progress=False
    )


def raw_filter(seed, net=None, train=raw.fit, *, count, steps, classifier_steps):
    """A purifier trained on clean pictures, 16 at a time, kept in the cache: RAW unless another is given."""
    net = net or purify.Raw(seed=seed)
    return kept.trained(
        net,
        lambda net: train(net, ink_digits("train", count, seed), steps=steps, batch_size=16, seed=seed),
        code=raw,
        data="ink digits",
        kind=type(net).__name__,
        seed=seed,
        steps=steps,
        count=count,
    )


some_digits = ink_digits("test", 8, 0)
some_ink = some_digits.images / 255
ink_camera = purify.Camera()
sensed = ink_camera.expose(some_ink)
developed = ink_camera.develop(sensed)
plots.pictures(torch.cat([some_ink, purify.sites(sensed), developed]), columns=8)

# %% [markdown]
# Upper row: digits. Middle: what the simulated sensor measures of them, each value in its colour; it looks green, since
# half of the sites are green, and dark, since the sensor counts light. Lower: the same, developed by the camera's fixed
# steps. Edges have coloured fringes: two thirds of the numbers are guesses.
#
# ### In formulas
#
# The sensor, with gains $g = (1.9, 1, 1.7)$ and a mixing of colours $M$ whose rows sum to one:
#
# $$R(x) = \mathrm{round}_{10\,\mathrm{bits}}\big(\mathrm{mosaic}(M\, x^{2.2} / g) + \text{noise}\big), \qquad \text{variance } 0.01\, a + 0.0004$$
#
# for a value $a$. The mosaic keeps, of each $2 \times 2$ pixels, one red, two green, one blue. $S$ undoes this by fixed
# steps: fill in (bilinear), unmix, gains, $x^{1/2.2}$. $F$ is a U-Net that learns $x \mapsto R(x)$ without noise, by
# squared error, and $G$ a small network that learns $R(x) \mapsto x$ with noise, by absolute error. The filter:
#
# $$O(x) = w\, G(F(x)) + (1 - w)\, S(F(x)), \qquad w = 0.7$$
#
# $w$ and the sizes of the networks are ours. Three statements to check, the last of which speaks against the idea: *a
# stripe of two pixels in red, of mean 0, meets the red sites always with the same sign*. It does not vanish; it becomes
# a tint.

# %%
grey_levels = torch.linspace(0.15, 0.9, 50)[:, None, None, None].expand(-1, 3, 8, 8)
striped = torch.full((1, 3, 8, 8), 0.5)
striped[:, 0, ::2] += 0.1
striped[:, 0, 1::2] -= 0.1
after_stripe = purify.demosaic(purify.mosaic(striped))
print(
    f"grey, exposed and developed: off by {255 * (ink_camera.develop(ink_camera.expose(grey_levels)) - grey_levels).abs().max():.1f} / 255"
)
print(f"numbers kept of a picture: {sensed.numel() / some_ink.numel():.2f}")
print(
    f"a red stripe of +-0.1: mean {striped[:, 0].mean() - 0.5:+.2f} before, {after_stripe[:, 0].mean() - 0.5:+.2f} after the mosaic"
)

# %% [markdown]
# ### Who attacks?
#
# A filter in front of a classifier $f$ makes three attackers out of one:
#
# - the **oblivious** one attacks $f$, and does not know of the filter;
# - **BPDA** runs the filter, and takes its gradient for that of the identity (Athalye and others 2018, arXiv
#   1802.00420);
# - the **adaptive** one differentiates all of it: $f \circ O$. Rounding to 10 bits is passed straight through.
#
# That last gradient is easily spoilt. In a first version it ran through the root $x^{1/2.2}$ as it stands, whose slope
# in the dark is nearly infinite; the attack followed the darkest pixels and nothing else, and was *weaker* than the
# oblivious one: at 8/255 the filter kept 77 of 100 digits right against the one and 56 against the other. Read
# carelessly, that is a robust defence. Now the slope is held at that of 2 % light; see in the table which of the two
# attacks is the stronger one.
#
# ### The experiment
#
# Classifier: `zoo.classifier`, 200 steps of Adam on 4,000 digits. $F$, $G$: 200 steps each of Adam (rate 2e-3 falling
# to 0, 16 digits a step, noise of 0.02 on what $F$ sees), on the same digits, without labels. 100 test digits, PGD of
# 20 steps, $\varepsilon = 16/255$ in $\ell_\infty$. Controls: median of 3 x 3, blur of 0.7 pixels, JPEG of quality 75,
# 4 bits, half the resolution and back; and the one that matters, an **autoencoder** of the same two networks, trained
# from picture to picture for 200 steps of both at once. It has the same bottleneck, and no camera.


# %%
def raw_under_attack(seed, *, eps, shown, n_iter, **sizes):
    """Accuracy in % behind every filter, by attacker; and how many masking checks it passes."""
    reader = ink_reader(seed, **sizes)
    test = ink_digits("test", shown, seed)
    x, y = test.images / 255, test.labels
    filters = {
        "RAW": raw_filter(seed, **sizes),
        "autoencoder": raw_filter(seed, raw.Autoencoder(seed=seed), raw.fit_autoencoder, **sizes),
        "median 3 x 3": purify.Median(),
        "blur": purify.Blur(),
        "JPEG 75": purify.Jpeg(),
        "4 bits": purify.BitDepth(),
        "down-up": purify.DownUp(),
    }
    found = {"none": {}} | {name: {} for name in filters}
    for row in purify.table(reader, filters, x, y, eps=eps, n_iter=n_iter, seed=seed).itertuples():
        found[row.filter][row.attack] = 100 * row.accuracy
    report = attacks.masking_report(
        purify.Guarded(reader, filters["RAW"]),
        x[:24],
        y[:24],
        eps=eps,
        n_iter=5,
        other=reader,
        adaptive="through F, G, S",
    )
    found["RAW"]["checks passed"] = int(report.passed.sum())
    found["RAW"]["checks failed"] = "; ".join(report.index[~report.passed])
    found["RAW"]["check figures"] = list(report.figure)
    return found


raw_study = studies.run("raw", raw_under_attack, seeds=size.seeds, eps=RAW_EPS, **raw_looks, **raw_sizes)
print(raw_study)
raw_study.table()

# %%
plots.arms(raw_study, "clean", "PGD", "adaptive", "worst")

# %% [markdown]
# Accuracy in %; each dot is a seed, 100 digits, so that the interval of one dot is about ±10 points at the middle of
# the scale. *PGD* is the oblivious attacker. Look from the second panel to the third, row by row: what is lost is the
# part of the gain that the attacker did not know of. *worst* counts a digit only if it was named right under every
# attack of the table (noise, FGSM, PGD, BPDA, adaptive), and is the one to quote.


# %%
def raw_gap(arm, control, attack, other=None):
    """Seed by seed, points of accuracy: `arm` under `attack` less `control` under `other`."""
    pairs = zip(raw_study.values(arm, attack), raw_study.values(control, other or attack), strict=True)
    return [a - b for a, b in pairs]


raw_gain = raw_gap("RAW", "none", "PGD")
raw_taken = raw_gap("RAW", "RAW", "PGD", "adaptive")
raw_claim = claims.record(
    system="101",
    paper="Turning an attacked picture into camera RAW and developing it again removes the attack, without attacked pictures or knowledge of the task.",
    measured=(
        f"RGB digits 28 x 28, simulated sensor; PGD-{raw_looks['n_iter']} at 16/255 on {raw_looks['shown']} digits; classifier {raw_sizes['classifier_steps']} "
        f"steps, F and G {raw_sizes['steps']} steps of 16, Adam."
    ),
    parts=[
        claims.Part("oblivious PGD: with the filter less without", raw_gain, "points of accuracy", 20),
        claims.Part(
            "clean: with the filter less without", raw_gap("RAW", "none", "clean"), "points of accuracy", -5
        ),
        claims.Part(
            "taken back by the adaptive attack, less half of the gain",
            [taken - gain / 2 for taken, gain in zip(raw_taken, raw_gain, strict=True)],
            "points of accuracy",
            0,
        ),
    ],
    seconds=raw_study.seconds,
)
print(f"{raw_claim}\n")
for name in [arm for arm in raw_study.arms if arm != "RAW"]:
    paired = {
        "oblivious": raw_gap("RAW", name, "PGD"),
        "worst case": raw_gap("RAW", name, "worst"),
        "clean": raw_gap("RAW", name, "clean"),
    }
    print(
        f"RAW less {name}: "
        + "; ".join(f"{k} {', '.join(f'{v:+.0f}' for v in vs)}" for k, vs in paired.items())
    )

# %% [markdown]
# **What we see.** The last lines are paired differences, one number per seed.
#
# - *Clean.* The filter costs 1 to 6 points, in one seed more than the 5 allowed.
# - *Oblivious attacker.* It helps, and by how much depends on the classifier: one that falls to 0 or 1 % by itself
#   gains far more than the one that is left with a quarter.
# - *Adaptive attacker.* He takes back more than half. What is left in the worst case is 7, 17 and 19 % of 100 digits. In
#   the second seed the classifier is better off *without* the filter, and behind every fixed filter, too.
# - *Controls.* Nothing was asked of them. But in two seeds of three the plain autoencoder does as well against the
#   oblivious attacker: there it was not the camera that helped. In one seed a blur and a median do: there it was not
#   the learning. In the third seed RAW is far ahead of the autoencoder, but that one restores even clean digits badly
#   after so few steps: to learn values that are given is easier than to find a code. Whether the camera matters stays
#   open.
#
# And the masking report of the classifier behind the filter, under the adaptive attack (24 digits a seed, PGD of 5
# steps). A figure from a defence that fails one of the nine checks is an upper bound at best. Check 8 fails in two
# seeds: behind the rounding and the dark the loss is no smooth slope. The controls were not checked, so that their
# figures are upper bounds too. For the same reason no order of RAW and the controls in the worst case is claimed: in the
# first seed RAW is ahead of all of them by 2 to 5 points, less than 100 digits can tell.

# %%
for seed, failed, figures in zip(
    size.seeds,
    raw_study.values("RAW", "checks failed"),
    raw_study.values("RAW", "check figures"),
    strict=True,
):
    print(f"seed {seed}: failed: {failed or 'none'}")
    print("  " + " | ".join(figures))

# %% [markdown]
# ### Through the camera
#
# Columns: the picture, what $F$ makes of it, its two developments, the blend. Rows: clean, attacked, and ten times the
# difference. Move from *oblivious* to *adaptive* at the same $\varepsilon$: the pattern in the last row changes from
# one that the camera blurs to one that it lets through. *noise* is the control: as much change without a purpose.
# `sensor noise` is added to $F(x)$ for you to see; the filter itself draws nothing.

# %%
raw_lab, raw_reader = raw_filter(0, **raw_sizes), ink_reader(0, **raw_sizes)
raw_x, raw_y = some_ink, some_digits.labels


def see_raw(knowledge, eps_in_255, w, sensor_noise, digit):
    raw_lab.w = w
    raw_lab.camera = purify.Camera(shot=0.01 * sensor_noise, read=0.0004 * sensor_noise)
    n_iter = size.pick(smoke=1, lab=8, gpu=40)
    attacked = moved_by(knowledge, raw_reader, raw_lab, raw_x, raw_y, eps_in_255 / 255, n_iter)

    @torch.no_grad()
    def stages(x):
        found = raw_lab.stages(x, generator(0) if sensor_noise else None)
        shown = {
            "x": x,
            "F, as mosaic": purify.sites(found["F"]),
            "G": found["G"],
            "S": found["S"],
            "O": found["O"],
        }
        return {name: pictures[digit] for name, pictures in shown.items()}

    behind = purify.Guarded(raw_reader, raw_lab)
    clean, moved = (
        [int(attacks.right(model, x, raw_y).sum()) for model in (raw_reader, behind)]
        for x in (raw_x, attacked)
    )
    said = (
        f"{knowledge}, eps {eps_in_255}/255. Of 8 digits the classifier names {moved[0]} right without the filter and {moved[1]} behind it "
        f"(clean: {clean[0]} and {clean[1]})."
    )
    change = "noise" if knowledge == "noise" else "attacked"
    return purified_plots.flow(stages(raw_x), stages(attacked), change=change), said


Sliders(
    see_raw,
    knowledge=[*purify.KNOWLEDGE, "noise"],
    eps_in_255=(0, 32, 16),
    w=(0.0, 1.0, 0.7),
    sensor_noise=(0.0, 5.0, 0.0),
    digit=(0, 7, 0),
)

# %% [markdown]
# ### Exercise: attack a filter without a gradient
#
# `BitDepth` rounds. Its gradient is 0, and PGD through it does nothing: an accuracy measured so is worth nothing. Write
# `attackers_view(filter, x)`, which has the *value* of `filter(x)` and the *gradient* of the identity. One line, with
# `detach`.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "bpda", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attackers_view(filter, x):
    ### BEGIN SOLUTION
    return x + (filter(x) - x).detach()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "bpda-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
rounded, at = purify.BitDepth(3), some_ink[:2].clone().requires_grad_()
assert torch.allclose(attackers_view(rounded, at), rounded(at)), "the value is that of the filter"
(found_slope,) = torch.autograd.grad((2 * attackers_view(rounded, at)).sum(), at)
assert torch.equal(found_slope, torch.full_like(at, 2)), "the gradient is that of the identity"
(no_slope,) = torch.autograd.grad(rounded(at).sum(), at)
assert not no_slope.any()
print("The attacker's view: a value and a gradient.")

# %% [markdown]
# ### What does not follow
#
# The sensor is simulated, the pictures are digits, and $F$ has seen the statistics of these digits: whether *real*
# sensor values carry a prior that a perturbation violates cannot be asked here. The paper's figures (ImageNet, COCO,
# ADE20K) are for attackers who do not know the filter, or know a part of it; here the one who knows all of it is what
# counts.

# %% [markdown]
# ## LQ-VAE: can an attack hide from one bit?
#
# If each number in a code is cut down to one bit, a small change of the picture should change nothing: the bit stays,
# and what is decoded from it stays to the last digit. Kyatham and others (2019, arXiv 1903.09940) build a filter on
# this: a variational encoder, 64 bits, and a decoder back to a picture, trained on clean pictures without the
# classifier. They report that it restores accuracy under attacks, white-box ones included.
#
# Two questions decide. *How far is each entry from the edge where its bit flips?* And, as a bit has no gradient: *was
# the attack held off, or only blind?*

# %%
from sslwork import vae
from sslwork.plots import bits as bit_plots
from sslwork.purify import lq_vae

code_sizes = {
    "count": size.pick(smoke=200, lab=4_000, gpu=60_000),
    "steps": size.pick(smoke=4, lab=400, gpu=10_000),
    "classifier_steps": size.pick(smoke=4, lab=200, gpu=2_000),
}
code_eps = [0.1, 0.2, 0.3]
code_looks = {"shown": size.pick(smoke=10, lab=100, gpu=1_000), "n_iter": size.pick(smoke=2, lab=15, gpu=40)}


def small_digits(split, count, seed):
    """MNIST at 16 x 16: `count` digits drawn with this seed."""
    digits = MNIST[split]
    rows = torch.randperm(len(digits), generator=generator(seed, ("train", "test").index(split), 107))[:count]
    images = F.interpolate(digits.images[rows] / 255, size=16, mode="bilinear", antialias=True).clamp(0, 1)
    return data.PictureSet(images, digits.labels[rows], digits.names)


def digit_reader(seed, *, count, steps, classifier_steps):
    return zoo.classifier(
        "standard", small_digits("train", count, seed), seed=seed, steps=classifier_steps, progress=False
    )


def bit_filter(seed, penalty=10.0, *, count, steps, classifier_steps):
    """An LQ-VAE trained on clean digits; kept in the cache."""
    return kept.trained(
        purify.LQVAE((1, 16, 16), seed=seed),
        lambda net: lq_vae.fit(
            net, small_digits("train", count, seed), penalty=penalty, steps=steps, lr=1e-3, seed=seed
        ),
        code=lq_vae,
        data="mnist 16",
        seed=seed,
        penalty=penalty,
        steps=steps,
        count=count,
    )


def plain_filter(seed, *, count, steps, classifier_steps):
    """The same encoder and decoder without bits: a plain VAE, with the same weights of KL and error."""
    return kept.trained(
        vae.Small(shape=(1, 16, 16), latent=64, seed=seed),
        lambda net: vae.fit(
            net, small_digits("train", count, seed), beta=256 / 40 / 64, steps=steps, lr=1e-3, seed=seed
        ),
        code=vae,
        data="mnist 16",
        seed=seed,
        steps=steps,
        count=count,
    )


class Unquantised(purify.Filter):
    """A VAE as a filter: it is differentiable, and so its own soft form."""

    deterministic = True

    def __init__(self, net):
        self.net = net

    def __call__(self, x):
        return self.net(x)

    def soft(self, x):
        return self.net(x)


code_lab, code_reader = bit_filter(0, **code_sizes), digit_reader(0, **code_sizes)
code_test = small_digits("test", code_looks["shown"], 0)
code_x, code_y = code_test.images / 255, code_test.labels


@torch.no_grad()
def coded(x, bits=None):
    """A picture (1, 1, 16, 16), its bits (or those given), what is decoded, and the classifier's probabilities."""
    bits = code_lab.bits(x) if bits is None else bits
    restored = code_lab.discrete(bits)
    return bit_plots.Coded(x[0], bits[0], restored[0], code_reader(restored).softmax(1)[0])


bit_plots.codes({f"no. {i + 1}, a “{int(code_y[i])}”": coded(code_x[i : i + 1]) for i in range(3)})

# %% [markdown]
# A digit, its 64 bits (light: +1), what the decoder makes of them, and what the classifier says of that. Bits unlike
# the first row's are orange or red. Not every digit comes through: what that costs is the *clean* column below.
#
# ### In formulas
#
# The encoder gives $\mu$ and $s$, both in $\mathbb{R}^{64}$. With $\tau = 0.1$ and $n \sim \mathcal{N}(0, 1)$:
#
# $$z = \mu + \tfrac{\tau}{2} e^{s/2} n, \qquad q_h = \mathrm{sign}(\tau^2 - z^2), \qquad q_s = \mathrm{softsign}\big(500\,(\tau^2 - z^2)\big)$$
#
# A bit is $+1$ where $|z| \le \tau$. Two decoders: $D_c$ reads the soft code $q_s$, $D_d$ the bits $q_h$. On each
# batch, one after the other, the encoder lowers $KL + 10 R_s + 10\,GP$, $D_c$ lowers $10 R_s$ and $D_d$ lowers $10
# R_h$, where $R$ are mean squared errors of pictures in $[-1, 1]$ and
#
# $$GP = \mathrm{mean}_i \big(0.1 - \lVert \nabla_x \textstyle\sum_d \mu_d(x_i) \rVert\big)^2$$
#
# asks for a small sensitivity. No gradient of $R_h$ reaches the encoder: a sign has none. At test $n = 0$: the filter
# is $x \mapsto D_d(q_h(\mu(x)))$, and draws nothing. (The noise may be kept at test, too; a filter without it is easier
# to attack and to judge.)
#
# What follows exactly: if no $\mu_d$ moves by as much as its **margin** $\big||\mu_d| - \tau\big|$, the output is
# *identical*. What does not follow: that margins are large. The encoder wants codes near the prior, and $\mathcal{N}(0,
# 1)$ crosses $\pm 0.1$ densely.

# %%
with torch.no_grad():
    code_mu, code_margin = code_lab.net.encode(code_x)[0], code_lab.margins(code_x)
flipped_at = torch.full_like(code_margin, torch.inf)
for radius in reversed(code_eps):
    pushed = attacks.pgd(code_reader, code_x, code_y, eps=radius, n_iter=size.pick(smoke=1, lab=10, gpu=40))
    with torch.no_grad():
        flipped_at[code_lab.bits(pushed) != code_lab.bits(code_x)] = radius
bit_plots.margins(code_mu, code_lab.threshold, code_margin.flatten(), flipped_at.flatten(), code_eps)

# %% [markdown]
# Left, where $\mu$ lies on test digits; the band of $+1$ is orange, and how much of the mass lies near its edges is
# what the attack lives on. Right, the margins of all bits, grouped by the least $\varepsilon$ at which an *oblivious*
# attack flipped them: boxes from left to right should rise, since near bits flip first.
#
# ### The experiment
#
# MNIST at 16 x 16, 4,000 digits. Classifier: `zoo.classifier`, 200 steps. LQ-VAE: 400 steps of 64, RMSProp, rate 1e-3
# (the paper: 10,000 steps at 3e-4, wider networks). 100 test digits, PGD of 15 steps, $\ell_\infty$, $\varepsilon$ in
# units of $[0, 1]$. Attackers: oblivious; BPDA (identity); adaptive: the bits run forward, the soft code's gradient
# runs backward. Controls: the filter without $GP$, a plain VAE of the same size without bits, a median, and noise
# $\pm\varepsilon$.


# %%
def bits_under_attack(seed, *, eps, shown, n_iter, **sizes):
    """Accuracy in % behind every filter, by attacker; share of flipped bits; the masking checks."""
    reader = digit_reader(seed, **sizes)
    test = small_digits("test", shown, seed)
    x, y = test.images / 255, test.labels
    filters = {
        "LQ-VAE": bit_filter(seed, **sizes),
        "LQ-VAE without GP": bit_filter(seed, 0.0, **sizes),
        "VAE, no bits": Unquantised(plain_filter(seed, **sizes)),
        "median 3 x 3": purify.Median(),
    }
    found = {"none": {}} | {name: {} for name in filters}
    for radius in eps:
        chosen = filters if radius == 0.2 else {"LQ-VAE": filters["LQ-VAE"]}
        for row in purify.table(reader, chosen, x, y, eps=radius, n_iter=n_iter, seed=seed).itertuples():
            name = row.attack if row.attack == "clean" else f"{row.attack} {radius:g}"
            found[row.filter][name] = 100 * row.accuracy
    noisy = {
        radius: (x + radius * (2 * torch.randint(0, 2, x.shape, generator=generator(seed, 1)) - 1)).clamp(
            0, 1
        )
        for radius in eps
    }
    with torch.no_grad():
        for name in ("LQ-VAE", "LQ-VAE without GP"):
            ones = (filters[name].bits(x) > 0).double().mean(0)
            entropy = torch.special.entr(ones) + torch.special.entr(1 - ones)
            found[name] |= {
                "share of +1": 100 * ones.mean(),
                "entropy, bits": entropy.mean() / torch.tensor(2.0).log(),
            }
            for radius in eps:
                attacked = attacks.pgd(reader, x, y, eps=radius, n_iter=n_iter, seed=seed)
                found[name][f"flips, PGD {radius:g}"] = 100 * filters[name].flips(x, attacked).mean()
                found[name][f"flips, noise {radius:g}"] = 100 * filters[name].flips(x, noisy[radius]).mean()
    for name in ("LQ-VAE", "VAE, no bits"):
        report = attacks.masking_report(
            purify.Guarded(reader, filters[name]),
            x[:32],
            y[:32],
            eps=0.2,
            n_iter=n_iter,
            other=reader,
            adaptive="soft code",
        )
        found[name]["checks passed"] = int(report.passed.sum())
        found[name]["checks failed"] = "; ".join(report.index[~report.passed])
        found[name]["check figures"] = list(report.figure)
    return found


bit_study = studies.run(
    "lq-vae", bits_under_attack, seeds=size.seeds, eps=code_eps, **code_looks, **code_sizes
)
print(bit_study)
bit_study.table().T

# %%
plots.arms(bit_study, "clean", "PGD 0.2", "adaptive 0.2", "worst 0.2")

# %% [markdown]
# Accuracy in %, at $\varepsilon = 0.2$; a dot is a seed, 100 digits, an interval of up to ±10 points each. *PGD* is
# oblivious, *worst* counts what was right under every attack. Compare the second panel with the third: the row of the
# LQ-VAE, and that of the VAE without bits, in which there is nothing to hide behind.


# %%
def bit_gap(attack, other, arm="LQ-VAE", control="LQ-VAE"):
    """Seed by seed, points: a measure of `arm` less another of `control`."""
    return [
        a - b for a, b in zip(bit_study.values(arm, attack), bit_study.values(control, other), strict=True)
    ]


bit_gain = bit_gap("PGD 0.2", "PGD 0.2", control="none")
bit_taken = bit_gap("PGD 0.2", "adaptive 0.2")
bit_claim = claims.record(
    system="107",
    paper="A variational filter with latents of one bit each, trained on clean pictures alone, restores accuracy under black-box and white-box attacks.",
    measured=(
        f"MNIST 16 x 16, PGD-{code_looks['n_iter']} at 0.2 on {code_looks['shown']} digits; LQ-VAE of 64 bits, {code_sizes['steps']} steps of RMSProp; "
        f"classifier {code_sizes['classifier_steps']} steps. The white-box claim speaks against the second part."
    ),
    parts=[
        claims.Part("oblivious PGD at 0.2: filtered less unfiltered", bit_gain, "points of accuracy", 30),
        claims.Part(
            "taken back by the adaptive attack, less half of the gain",
            [taken - gain / 2 for taken, gain in zip(bit_taken, bit_gain, strict=True)],
            "points of accuracy",
            0,
        ),
        claims.Part(
            "bits flipped by the oblivious attack less by noise of the same size",
            bit_gap("flips, PGD 0.2", "flips, noise 0.2"),
            "points of bits",
            0,
        ),
    ],
    seconds=bit_study.seconds,
)
print(f"{bit_claim}\n")
for name in ("LQ-VAE without GP", "VAE, no bits", "median 3 x 3"):
    for attack in ("clean", "PGD 0.2", "adaptive 0.2", "worst 0.2"):
        print(
            f"LQ-VAE less {name}, {attack}: "
            + ", ".join(f"{v:+.0f}" for v in bit_gap(attack, attack, control=name))
        )
print(
    f"entropy of a bit over digits: {bit_study.mean('LQ-VAE', 'entropy, bits'):.2f} (below 0.1 the code has collapsed)"
)
for name in ("LQ-VAE", "VAE, no bits"):
    reports = zip(
        bit_study.values(name, "checks failed"), bit_study.values(name, "check figures"), strict=True
    )
    for seed, (failed, figures) in zip(size.seeds, reports, strict=True):
        print(f"masking checks, {name}, seed {seed}: failed: {failed or 'none'}")
        print("  " + " | ".join(figures))

# %% [markdown]
# **What we see.**
#
# - *Clean.* At 400 steps the filter itself costs 9 to 20 points.
# - *Oblivious attacker.* The filter wins back 21, 22 and 30 points, where 30 were asked for in every seed. (The clean
#   cost sets the limit, and 400 steps are few.)
# - *Adaptive attacker.* He takes back all of it: what is left at 0.2 is 0 or 1 %.
# - *Bits.* An attack turns about twice as many as noise of its size.
# - *Controls.* The penalty on the gradient shows no gain. The plain VAE, trained for as long, is underfit (about a
#   quarter of the clean digits survive it): a comparison with it says little.
#
# The second part asks that the *attacker* wins back at least half. It holds in every seed: the claim for white-box
# attacks does not appear here.
#
# Last in the list, the masking report on 32 digits, for the adaptive attack. Check 5 compares it with attacks that need
# no gradient (Square, and examples made on the bare classifier): none of them does better. Check 8 asks whether the
# gradient foretells the loss: of a staircase of bits it hardly can, since the loss between two flips does not move at
# all. The LQ-VAE fails it in every seed, the VAE without bits in none. So the accuracy of the LQ-VAE is an upper bound;
# at 0 or 1 % nothing is left to be overrated. At 0.1, where 18 to 26 % are left, it matters.
#
# ### Bits under your fingers
#
# First row clean, second attacked (or, as a control, with noise of the same size). `tau` and `softness` change the
# filter and the attacker's gradient: at 500 the gradient is steep near the edge and nearly flat elsewhere, at 50 it
# reaches farther. `turn_bit` turns one bit of the clean code over, a third row: the decoder shows what that bit means.


# %%
def see_bits(knowledge, eps, tau, softness, digit, turn_bit):
    code_lab.threshold, code_lab.softness = tau, float(softness)
    x, y = code_x[digit : digit + 1], code_y[digit : digit + 1]
    pushed = moved_by(knowledge, code_reader, code_lab, x, y, eps, n_iter=15)
    changed = "noise" if knowledge == "noise" else "attacked"
    rows = {"clean": coded(x), changed: coded(pushed)}
    if turn_bit:
        turned = code_lab.bits(x).detach().clone()
        turned[0, turn_bit - 1] *= -1
        rows[f"bit {turn_bit} turned"] = coded(x, turned)
    flips = int((rows["clean"].bits != rows[changed].bits).sum())
    named = {name: int(row.probabilities.argmax()) for name, row in rows.items()}
    figure = bit_plots.codes(rows)
    said = (
        f"The digit {int(y)}; {knowledge} at {eps:.2f} flips {flips} of 64 bits. Behind the filter: "
        + ", ".join(f"{name}: {value}" for name, value in named.items())
    )
    code_lab.threshold, code_lab.softness = 0.1, 500.0
    return figure, said + "."


Sliders(
    see_bits,
    log=["softness"],
    knowledge=["adaptive", "BPDA", "oblivious", "noise"],
    eps=(0.0, 0.4, 0.2),
    tau=(0.02, 0.5, 0.1),
    softness=(50, 500, 500),
    digit=(0, 9, 1),
    turn_bit=(0, 64, 0),
)

# %% [markdown]
# ### Exercise: what the bits promise
#
# An encoder is given as its $\mu$, and you are told that no picture within the ball moves any $\mu_d$ by more than
# `moved`. Write `promised(mu, threshold, moved)`: for which pictures is the filter's output certain to stay identical?
# (N,) booleans.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "bits", "locked": false, "schema_version": 3, "solution": true, "task": false}
def promised(mu, threshold, moved):
    ### BEGIN SOLUTION
    return ((mu.abs() - threshold).abs() > moved).all(1)
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "bits-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
draws = generator(0, 107)
some_mu = torch.randn(400, 4, generator=draws)
certain = promised(some_mu, 0.1, 0.03)
assert certain.shape == (400,) and certain.any() and not certain.all(), (
    "some pictures are certain, and some are not"
)
for _ in range(50):
    near = some_mu + 0.03 * (2 * torch.rand(some_mu.shape, generator=draws) - 1)
    same = (lq_vae.hard_code(near) == lq_vae.hard_code(some_mu)).all(1)
    assert same[certain].all(), "a bit flipped that was promised to stay"
assert promised(torch.tensor([[0.0, 0.5]]), 0.1, 0.09).all(), "both entries are far enough from the edge"
assert not promised(torch.tensor([[0.5, -0.12]]), 0.1, 0.03).any(), "the second crosses -0.1"
print("The promise: kept.")

# %% [markdown]
# The promise is true and small. For it to cover a ball of $\varepsilon = 0.2$ the encoder would have to move no entry
# by more than its margin, and what `margins` shows above is how large those are.

# %% [markdown]
# ## BEYOND: does a picture agree with its own neighbours?
#
# Crop a seven, make it darker, shift it: it stays a seven, and a good representation hardly notices. He and others
# (2024, arXiv 2209.00005) turn that into a detector of attacks, *BE Your Own NeighborhooD*. A natural picture agrees
# with changed copies of itself, in representation and in label. An adversarial one was made to fool *another* network,
# by changes that have no meaning: the copies lose them, and the agreement breaks.
#
# Three parts: the **watched** classifier $f$, which is attacked and names a class $l$; a frozen self-supervised
# **reader**, encoder $b$ with its projector $g$; a linear head $c$ on $b$, fitted with labels. Of a picture $x$, $k$
# copies $A_1 x, \ldots, A_k x$ are drawn, and
#
# $$s_j = \cos\bigl(g(b(x)),\, g(b(A_j x))\bigr),\qquad q_j = \cos\bigl(\mathrm{onehot}(l),\, c(b(A_j x))\bigr)$$
#
# say how far the copies resemble the picture, and whether the reader sees in them what $f$ said. Then $S(x)$ is the
# $K$-th largest of the $\alpha q_j + (1 - \alpha) s_j$: high for natural pictures, and what falls below a threshold is
# rejected. The threshold comes from clean pictures, at a rate of false alarms that one can afford. With $\alpha = 1$
# only labels count, with $\alpha = 0$ only representations.
#
# Watch three controls. **Noise** of the same size, with signs drawn at random: it fools nobody, so a detector of
# *attacks* should let it pass. Clean pictures that $f$ simply **names wrong**. And a **supervised** reader in place of
# the self-supervised one, which the paper says is worse.

# %%
import dataclasses

from sslwork import detectors, embed, encoders, methods, train
from sslwork.detectors.beyond import Frozen, adaptive, agreement, counts, relations, threshold
from sslwork.measures import ood
from sslwork.plots.neighbourhood import neighbourhood
from sslwork.views import DIGITS, Views

watched_digits = tested_digits[range(size.pick(smoke=120, lab=500, gpu=4_000))]
watched_x, watched_y = watched_digits.images / 255, watched_digits.labels
# How a digit may change and stay itself: a crop of 0.6 to 1 of its area, brightness and contrast.
MILD = Views(crop=0.4, flip=0, rotate=0, brightness=0.4, contrast=0.4, saturation=0, hue=0, grey=0)
# The encoder learns to overlook these and more: turns, and a part of the strokes missing.
WIDE = dataclasses.replace(DIGITS, brightness=0.4, contrast=0.4)
reading = {
    "steps": size.pick(smoke=4, lab=200, gpu=5_000),
    "batch_size": size.pick(smoke=32, lab=128, gpu=512),
    "width": size.pick(smoke=4, lab=16, gpu=64),
}


def watched_net(kind, seed):
    """The classifier that is attacked: trained as usual, or against PGD at eps 0.1."""
    usual = kind == "standard"
    steps = size.pick(smoke=40 if usual else 10, lab=400 if usual else 200, gpu=4_000)
    return zoo.classifier(kind, known_digits, seed=seed, eps=0.1, steps=steps, progress=False)


def reader_of(kind, seed, *, steps, batch_size, width):
    """An encoder, what lies behind it, and a linear head fitted on 3,000 labels."""
    if kind == "supervised":
        net, projector = (
            zoo.encoder(kind, known_digits, seed=seed + 50, steps=steps, width=width, views=WIDE, progress=False),
            torch.nn.Identity(),
        )  # fmt: skip
    else:
        plan = {"steps": steps, "batch_size": batch_size, "seed": seed}
        method = kept.trained(
            methods.SimCLR(encoders.conv(width, seed=seed), seed=seed),
            lambda method: train.fit(method, known_digits, views=WIDE, progress=False, **plan),
            code=methods.SimCLR,
            **plan,
            width=width,
            views=str(WIDE),
            pictures=known_digits.fingerprint(),
        )
        net, projector = method.encoder, method.head
    labelled = known_digits[range(min(3_000, len(known_digits)))]
    return Frozen(net, projector, ood.probe(embed(net, labelled, progress=False), labelled.labels))


# %% [markdown]
# ### What holds exactly
#
# $S$ does not depend on the order of the copies, and falls as $K$ grows: from the largest agreement ($K = 1$) to the
# smallest ($K = k$). Copies that change nothing make $s_j = 1$ for every picture, so that with $\alpha = 0$ the
# detector is blind. The head's logits enter as they are, not through a softmax: multiplied by 3 they say the same, with
# 3 added to each they do not. With the reader of seed 0, on 40 pictures:

# %%
watched, reader = watched_net("standard", 0), reader_of("simclr", 0, **reading)
few_x, few_y = watched_x[:40], watched_y[:40]
with torch.no_grad():
    few_named = watched(few_x).argmax(1)


def few_relations(views=MILD, head=reader.head):
    changed = Frozen(reader.backbone, reader.projector, head)
    with torch.no_grad():
        return relations(few_x, few_named, changed, views, k=8, generator=generator(1))


few_s, few_q = few_relations()
order = torch.randperm(8, generator=generator(2))
by_rank = [agreement(few_s, few_q, rank=rank) for rank in range(1, 9)]
other_order = agreement(few_s[:, order], few_q[:, order], rank=4)
print("another order of the copies changes S by", f"{float((other_order - by_rank[3]).abs().max()):.0e}")
print("S falls with K:", all(bool((a >= b).all()) for a, b in itertools.pairwise(by_rank)))
still, _ = few_relations(views=lambda x, _: x)
print(f"copies that change nothing: s from {float(still.min()):.4f} to {float(still.max()):.4f}")
for name, head in {"times 3": lambda z: 3 * reader.head(z), "plus 3": lambda z: reader.head(z) + 3}.items():
    print(f"logits {name}: q changes by up to {float((few_relations(head=head)[1] - few_q).abs().max()):.1e}")

# %% [markdown]
# Above, a digit and eight of its copies; below, the same digit after an attack on $f$ (PGD, $\epsilon = 0.1$), and copies
# of that:

# %%
pair = torch.cat([few_x[:1], attacks.pgd(watched, few_x[:1], few_y[:1], eps=0.1)])
copies_shown = [MILD(pair, generator(10, j))[:, :1] for j in range(8)]
plots.pictures(
    torch.stack([pair, *copies_shown], 1).flatten(0, 1),
    titles=["as it is", *["copy"] * 8, "attacked", *["copy"] * 8],
    columns=9,
    zoom=5,
)

# %% [markdown]
# ### The experiment
#
# MNIST at 16 x 16. $f$: a small convolutional net, Adam, 400 steps of 128. Reader: SimCLR on 10,000 digits without
# their labels (AdamW, 200 steps of 128), and a logistic regression on the features of 3,000 with labels. Copies: crops
# of 0.6 to 1 of the area, brightness and contrast $\pm 0.4$; $k = 20$, $K = 8$, $\alpha = 0.8$. Attacks on $f$ alone,
# 20 steps of PGD on the cross-entropy and on the margin, and FGSM, at $\epsilon$ = 0.1, 0.15 and 0.2, on 200 test
# pictures that $f$ names right. Only attacks that **changed the label** count. Each set is told from the same 200
# pictures untouched: AUC 0.5 is a coin, 1 is perfect; *caught at 5 %* is the share found where one clean picture in 20
# raises an alarm.
#
# *Adaptive*: an attacker who knows all this. It aims at a class $t$ drawn at random, and steps along the sum of two
# signs, of the gradient that fools $f$ and of the gradient that makes the copies agree with $t$ and with the picture
# (20 steps, 8 fresh copies in each). *Aimed PGD* has the same targets and steps and knows only $f$: its control.


# %%
def neighbours_found(
    seed, *, eps, images, copies, rank, alpha, attack_copies, n_iter, steps, batch_size, width
):
    """AUC of clean against attacked, against noise and against other clean pictures, for every reader and alpha."""
    net = watched_net("standard", seed)
    reading = {"steps": steps, "batch_size": batch_size, "width": width}
    readers = {kind: reader_of(kind, seed, **reading) for kind in ("simclr", "supervised")}
    right = attacks.right(net, watched_x, watched_y)
    images = min(images, int(right.sum()) // 2)
    x, y = watched_x[right][:images], watched_y[right][:images]
    others, wrong = watched_x[right][images:], watched_x[~right]
    targets = (y + 1 + torch.randint(9, y.shape, generator=generator(seed, 1))) % 10

    def named(x):
        with torch.no_grad():
            return net(x).argmax(1)

    def score_of(watched, x):
        with torch.no_grad():
            l = watched(x).argmax(1)  # noqa: E741
        return detectors.beyond(
            x, l, readers["simclr"], MILD, k=copies, rank=rank, alpha=alpha, generator=generator(seed, 2)
        )

    def fooling(changed):
        fooled = named(changed) != y
        return changed[fooled] if fooled.any() else changed[:1]  # in a tiny trial no attack may succeed

    def seen(x, kind="simclr", hard=False):
        with torch.no_grad():
            return relations(
                x, named(x), readers[kind], MILD, k=copies, hard=hard, generator=generator(seed, 2)
            )

    clean = {kind: seen(x, kind) for kind in readers}

    def judged(bad, kind="simclr"):
        """AUC with labels and representations, with labels alone, with representations alone."""
        s, q = seen(bad, kind)
        found = {"examples": len(bad), "similarity": float(s.mean()), "agreement": float(q.mean())}
        is_bad = torch.arange(len(x) + len(bad)) >= len(x)
        for name, a in {"": alpha, ", labels alone": 1.0, ", representations alone": 0.0}.items():
            scores = [agreement(*each, rank=rank, alpha=a) for each in (clean[kind], (s, q))]
            report = detectors.report(torch.cat(scores), is_bad, suspicious="low")
            found[f"AUC{name}"] = report.auc
            if not name:
                found["caught at 5 %"] = 100 * report.tpr
        return found

    found, course = {}, {name: [] for name in ("PGD", "noise")}
    for radius in eps:
        pgd = {"eps": radius, "n_iter": n_iter, "seed": seed}
        sets = {
            "FGSM": attacks.fgsm(net, x, y, eps=radius),
            "PGD": attacks.pgd(net, x, y, **pgd),
            "margin": attacks.pgd(net, x, y, loss="margin", **pgd),
            "noise": tracing.sign_noise(x, radius, generator(seed, 3)),
        }
        for name, changed in sets.items():
            fooled = named(changed) != y
            bad = changed if name == "noise" else fooling(changed)
            row = judged(bad) | {"label changed": 100 * float(fooled.double().mean())}
            found[f"{name}, eps {radius:g}"] = row
            if name in course:
                course[name].append(row["AUC"])
        if radius == eps[0]:
            first = sets
    pgd["eps"] = eps[0]
    knows = adaptive(net, readers["simclr"], MILD, k=attack_copies, generator=generator(seed, 4))
    aimed = {
        "aimed PGD": attacks.pgd(net, x, targets, targeted=True, **pgd),
        "adaptive": attacks.pgd(None, x, targets, loss=knows, **pgd),
    }
    for name, changed in aimed.items():
        fooled = named(changed) != y
        found[name] = judged(fooling(changed)) | {
            "label changed": 100 * float(fooled.double().mean()),
            "target reached": 100 * float((named(changed) == targets).double().mean()),
        }
    fooled = fooling(first["PGD"])
    found["PGD, supervised reader"] = judged(fooled, "supervised")
    found["noise, supervised reader"] = judged(first["noise"], "supervised")
    for kind, reader in readers.items():
        with torch.no_grad():
            named_right = reader(watched_x)[1].argmax(1) == watched_y
        found[f"{kind} reader"] = {"accuracy": 100 * float(named_right.double().mean())}
    found["other clean ones"] = judged(others)
    found["clean, named wrong"] = judged(wrong)

    # A threshold from clean pictures that nobody has attacked, and what it does to the others, right or wrong.
    for kind, watched in {"standard": net, "robust": watched_net("robust", seed)}.items():
        every_x, every_y, rest = watched_x[:images], watched_y[:images], watched_x[images:]
        goals = (every_y + 1 + torch.randint(9, every_y.shape, generator=generator(seed, 1))) % 10
        knows = adaptive(watched, readers["simclr"], MILD, k=attack_copies, generator=generator(seed, 4))
        met = {
            "clean": every_x,
            "PGD": attacks.pgd(watched, every_x, every_y, **pgd),
            "adaptive": attacks.pgd(None, every_x, goals, loss=knows, **pgd),
        }
        least = threshold(score_of(watched, rest), fpr=0.05)
        for name, changed in met.items():
            correct, out = attacks.right(watched, changed, every_y), score_of(watched, changed) < least
            good = (correct & ~out) if name == "clean" else (correct | out)
            found[f"{kind}, {name}"] = {
                "accuracy": 100 * float(correct.double().mean()),
                "rejected": 100 * float(out.double().mean()),
                "with rejection": 100 * float(good.double().mean()),
            }
        few = {
            "eps": eps[0],
            "n_iter": n_iter,
            "adaptive": "PGD on the bare network; through the copies: see adaptive",
        }
        report = attacks.masking_report(watched, every_x[:60], every_y[:60], **few)
        found[f"{kind} network"] = {
            "checks passed": int(report["passed"].sum()),
            "checks failed": "; ".join(report.index[~report["passed"]]),
        }
    # The form in the paper: two counts, each with its threshold.
    cosine = float(clean["simclr"][0].quantile(0.05))
    two = {
        n: counts(*seen(each, hard=True), cosine=cosine)
        for n, each in {"held": others, "clean": x, "bad": fooled}.items()
    }
    out = {n: 100 * float((each < threshold(two["held"])).any(1).double().mean()) for n, each in two.items()}
    found["two counts"] = {"rejected": out["clean"], "caught at 5 %": out["bad"]}
    return found | {name: {"eps": list(eps), "AUC against clean": auc} for name, auc in course.items()}


neighbours = studies.run(
    "beyond",
    neighbours_found,
    seeds=size.seeds,
    eps=size.pick(smoke=[0.1, 0.2], lab=[0.1, 0.15, 0.2], gpu=[0.1, 0.15, 0.2]),
    images=size.pick(smoke=15, lab=200, gpu=2_000),
    copies=size.pick(smoke=4, lab=20, gpu=50),
    rank=size.pick(smoke=2, lab=8, gpu=20),
    alpha=0.8,
    attack_copies=size.pick(smoke=2, lab=8, gpu=50),
    n_iter=size.pick(smoke=3, lab=20, gpu=50),
    **reading,
)
print(neighbours)
told_apart = [arm for arm in neighbours.arms if "AUC" in neighbours.results[0][arm]]
neighbours.table(2).loc[
    told_apart,
    ["examples", "label changed", "AUC", "AUC, labels alone", "AUC, representations alone", "caught at 5 %"],
]

# %%
plots.arms(
    neighbours,
    "AUC",
    "AUC, labels alone",
    "AUC, representations alone",
    only=[arm for arm in told_apart if "0.15" not in arm],
    lines={name: {"coin": 0.5} for name in ("AUC", "AUC, labels alone", "AUC, representations alone")},
)

# %% [markdown]
# Every dot a seed. Within a seed an AUC of 0.9 from some 150 attacked and 200 clean pictures is sure to about ±0.035,
# one of 0.65 from 200 and 200 to ±0.05 (95 %, Hanley and McNeil).
#
# At $\epsilon = 0.1$ attacks of all kinds are told from clean pictures with an AUC around 0.9, and noise of the same
# size with 0.65. So what is seen is not merely that pixels were changed. **Labels alone** do nearly all of that.
# **Representations alone** see PGD a little better than noise at 0.1; at 0.2 they see noise as well as any attack or
# better: that term says "not a clean picture", not "an attack".
#
# Beside them, two things to keep in mind. Clean pictures that $f$ names wrong are flagged as strongly as attacks, and
# rightly so: the reader disagrees with $f$, whoever is to blame. And the *supervised* reader is no worse than SimCLR
# here.

# %%
plots.courses(neighbours, "AUC against clean", over="eps", only=["PGD", "noise"], label="eps, pixel units")

# %% [markdown]
# The larger the change, the less an attack stands out, and the more noise does. PGD at 0.2 is *harder* to find than at
# 0.1, as it begins to fool the reader as well; noise at 0.2 is nearly as suspect as PGD. Thin lines are seeds.
#
# ### Who pays, and what is left
#
# A detector is used to *reject*. The threshold is set on clean test pictures that take no other part, at 5 % false
# alarms. Then, over 200 others, right or wrong: under attack a picture is well treated if it is rejected **or** named
# right; a clean one only if it is named right **and** let through. *standard* is $f$, *robust* a net of the same size
# after adversarial training (PGD-AT, 5 steps inside, $\epsilon = 0.1$, 200 steps), all at $\epsilon = 0.1$. A robust
# accuracy is worth nothing while gradients may be hidden, so the nine checks come with it.

# %%
rejected = [f"{kind}, {name}" for kind in ("standard", "robust") for name in ("clean", "PGD", "adaptive")]
columns = ["accuracy", "rejected", "with rejection"]
print(neighbours.table(1).loc[rejected, columns].rename_axis("%, mean of the seeds"))
low, high = attacks.wilson(*(size.pick(smoke=(5, 10), lab=(100, 200), gpu=(1000, 2000))))
print(f"\n95 % interval of a share near one half, within a seed: {100 * low:.0f} to {100 * high:.0f}")
for kind in ("standard", "robust"):
    passed = [int(each) for each in neighbours.values(f"{kind} network", "checks passed")]
    failed = {each for each in neighbours.values(f"{kind} network", "checks failed") if each}
    print(f"masking checks of the {kind} net passed, by seed: {passed} of 9", *failed)

# %% [markdown]
# Rejecting costs a clean point or less, for most of what is rejected was named wrong anyway. Against PGD, which does
# not know the detector, it helps the standard net most, and 40 to 51 % of the pictures are still named wrong *and* let
# through. The robust net starts higher and gains 11 to 15 points. That is the reject option of the paper, and its
# direction is seen.
#
# The adaptive attack changes fewer labels and so leaves *more* pictures well treated than PGD: for the defender the
# stronger attack is here the one that ignores the detector, and a report must quote the worst of both. All the figures
# of one seed carry an interval as wide as the one printed.
#
# The adaptive attacker aims at one class, PGD at any: a part of the difference may be due to that. Nobody tried an
# attack that is adaptive *and* free to choose its class, nor the orthogonal projection of gradients which the authors
# also use; the strongest that was tried is not the strongest there is.
#
# ### Why does knowing the detector cost the attacker?
#
# To first order, a change $d$ of the picture moves $g(b(A x))$ by $J_A d$ and $g(b(x))$ by $J d$. The attacker must
# keep both together, so he wants $(J_A - J)\,d \approx 0$: of all directions only those on which copying and
# representing commute. How far does that foretell what happens? For one copy of each of 40 pictures: across, the length
# of $(J_A - J)\,d$, by a difference quotient along the change $d$ of PGD and along noise; up, how much the similarity
# $s$ really fell.

# %%
from sslwork.plots.style import GREY, LINES, LOOK, figure


def drawn_alike(x):
    return MILD(x, generator(4))  # the same copies at every call


@torch.no_grad()
def slips(delta, share=0.05):
    """Length of (J_A - J) d for each picture, and by how much s falls at the whole of d."""

    def gap(at):
        return reader(drawn_alike(at))[0] - reader(at)[0]

    def s(at):
        return torch.cosine_similarity(reader(drawn_alike(at))[0], reader(at)[0])

    return ((gap(few_x + share * delta) - gap(few_x)) / share).norm(dim=1), s(few_x) - s(few_x + delta)


@LOOK
def slope_figure():
    fig = figure(560, 300)
    ax = fig.add_axes((0.12, 0.16, 0.85, 0.78))
    changes = {
        "PGD": attacks.pgd(watched, few_x, few_y, eps=0.1) - few_x,
        "noise": tracing.sign_noise(few_x, 0.1, generator(5)) - few_x,
    }
    found = {}
    for (name, delta), colour in zip(changes.items(), LINES, strict=False):
        length, fall = slips(delta)
        found[name] = float(torch.corrcoef(torch.stack([length, fall]))[0, 1])
        ax.plot(
            length, fall, "o", color=colour, markersize=4, label=f"{name}, correlation {found[name]:+.2f}"
        )
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.set(xlabel="length of $(J_A - J)\\,d$", ylabel="fall of the similarity $s$")
    ax.legend()
    return fig


slope_figure()

# %% [markdown]
# The points of PGD lie farther to the right than those of noise: an attack on $f$, which knows nothing of the reader,
# does move it more, to first order, than random signs of the same size. But the correlation is weak. A change of 0.1 is
# not small, and the reader's ReLUs turn long before its end. So first order gives the idea of the conflict, and does
# not foretell a single picture.
#
# ### Try it yourself
#
# A picture, how it is changed and by how much; then the two sides of the detector. Top left, the picture and its
# copies, clean and changed; below, their $s_j$ and $q_j$, sorted. Right, the scores of 40 clean pictures that $f$ names
# right and of those changes that fooled it (of noise: all), the threshold that 40 other clean pictures give at the rate
# of *false alarms* you accept, and what it rejects of both sides.

# %%
named_right = attacks.right(watched, watched_x, watched_y)
DASH = min(size.pick(smoke=12, lab=40, gpu=200), int(named_right.sum()) // 2)
dash_x, dash_y = watched_x[named_right][:DASH], watched_y[named_right][:DASH]
dash_rest = watched_x[named_right][DASH : 2 * DASH]
WAYS_TO_CHANGE = ["PGD", "noise", "FGSM", "adaptive"]


@functools.cache
def changed_digits(how, eps):
    match how:
        case "noise":
            return tracing.sign_noise(dash_x, eps, generator(6))
        case "FGSM":
            return attacks.fgsm(watched, dash_x, dash_y, eps=eps)
        case "PGD":
            return attacks.pgd(watched, dash_x, dash_y, eps=eps, n_iter=10)
    knows = adaptive(watched, reader, MILD, k=2, generator=generator(7))
    return attacks.pgd(None, dash_x, (dash_y + 1) % 10, loss=knows, eps=eps, n_iter=8)


@functools.cache
def seen_as(how, eps):
    """Pictures, the class f names, and s and q of their copies (the same draws for every set)."""
    x = {"clean": dash_x, "rest": dash_rest}.get(how)
    x = changed_digits(how, eps) if x is None else x
    with torch.no_grad():
        named = watched(x).argmax(1)
        return x, named, *relations(x, named, reader, MILD, k=12, generator=generator(8))


def draw_neighbours(picture, change, eps, alpha, K, false_alarms):
    sides = {"clean": seen_as("clean", 0.0), change: seen_as(change, eps)}
    least = threshold(agreement(*seen_as("rest", 0.0)[2:], rank=K, alpha=alpha), fpr=false_alarms)
    fooled = sides[change][1] != dash_y
    counted = fooled if change != "noise" and fooled.any() else torch.ones(len(dash_y), dtype=torch.bool)
    scores = [agreement(s, q, rank=K, alpha=alpha) for _, _, s, q in sides.values()]
    scores[1] = scores[1][counted]
    stacks = [
        torch.cat([x[picture : picture + 1], *(MILD(x, generator(9, j))[picture : picture + 1, :1] for j in range(7))])
        for x, *_ in sides.values()
    ]  # fmt: skip
    fig = neighbourhood(
        stacks,
        *([side[i][picture] for side in sides.values()] for i in (2, 3)),
        scores,
        float(least),
        names=list(sides),
        sets=[dash_x, sides[change][0][counted]],
    )
    is_bad = torch.arange(len(dash_x) + int(counted.sum())) >= len(dash_x)
    judged = detectors.report(torch.cat(scores), is_bad, suspicious="low")
    out = [f"{int((each < least).sum())} of {len(each)}" for each in scores]
    return fig, (
        f"A {int(dash_y[picture])}, named {int(sides[change][1][picture])} after the change, which fools f on {int(fooled.sum())} "
        f"of {DASH}. The threshold rejects {out[0]} clean ones and {out[1]} changed ones; AUC {judged.auc:.2f} "
        f"({judged.interval[0]:.2f} to {judged.interval[1]:.2f})."
    )


Sliders(
    draw_neighbours, picture=(0, DASH - 1, 3), change=WAYS_TO_CHANGE, eps=(0.02, 0.3, 0.1), alpha=(0.0, 1.0, 0.8), K=(1, 12, 5),
    false_alarms=(0.02, 0.5, 0.1),
)  # fmt: skip

# %% [markdown]
# Slide $\alpha$ to 0 and change the picture by *noise*: what the representation term rejects, it rejects for not being
# clean.
#
# ### Exercise: a threshold that keeps its promise
#
# A colleague sets the threshold on the pictures she then reports on, clean and attacked together, where it looks best.
# Do it honestly: `rejects(held, new, fpr)` gets the scores of held-out clean pictures (N,) and of new ones (M,), and
# returns for each new one whether it is rejected, (M,) booleans. Threshold: the `fpr`-quantile of the held-out scores
# alone, rounded down to one of them; what lies below is rejected.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "rejects", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rejects(held, new, fpr):
    ### BEGIN SOLUTION
    return new < held.quantile(fpr, interpolation="lower")
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "rejects-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
tenths = torch.arange(1, 12) / 10
assert rejects(tenths, torch.tensor([0.05, 0.15, 0.25]), 0.1).tolist() == [True, True, False], (
    "at 10 % of eleven scores one may lie below: the threshold is the second smallest, 0.2"
)
assert not rejects(tenths, tenths, 0.05).any(), "at 5 % of eleven not a single one may lie below"
held_scores, new_scores = torch.randn(2, 2000, generator=generator(3))
assert torch.equal(rejects(held_scores, new_scores, 0.05), new_scores < threshold(held_scores, fpr=0.05)), (
    "compare with detectors.beyond's threshold: the held-out scores alone decide"
)
share_kept = float(rejects(held_scores, new_scores, 0.05).double().mean())
assert abs(share_kept - 0.05) < 0.02, "new clean pictures are rejected at the promised rate, up to chance"
print("The threshold: kept its promise.")

# %% [markdown]
# ### The claim
#
# Set before we looked, each for every seed, at $\epsilon = 0.1$: PGD is told from clean pictures with an AUC of at
# least 0.85, and at least 0.15 better than noise is; representations alone ($\alpha = 0$) show no such gap; and the
# attacker who knows the detector changes fewer labels than the aimed one who does not, at an AUC that is no higher.


# %%
def auc_of(arm, measure="AUC"):
    return [results[arm][measure] for results in neighbours.results.values()]


def gap_of(measure):
    return neighbours.difference("PGD, eps 0.1", "noise, eps 0.1", measure)


claim = claims.record(
    system="096",
    paper="Attacked pictures disagree with their changed copies under a self-supervised model; to hide that, attackers lose successes.",
    measured=(
        "MNIST at 16 x 16, small convolutional net attacked at eps 0.1 (200 pictures, PGD-20), SimCLR reader (AdamW, 200 steps) with a linear "
        "head, 20 copies (crop, brightness, contrast), K = 8, alpha 0.8; only attacks that changed the label."
    ),
    parts=[
        claims.Part("AUC of PGD against clean, above a coin", [each - 0.5 for each in auc_of("PGD, eps 0.1")], "AUC", 0.35),
        claims.Part("AUC of PGD less AUC of noise", gap_of("AUC"), "AUC", 0.15),
        claims.Part(
            "representations alone: how far that gap stays below 0.15",
            [0.15 - each for each in gap_of("AUC, representations alone")], "AUC", 0,
        ),
        claims.Part("labels changed by aimed PGD, less by the adaptive attack", neighbours.difference("aimed PGD", "adaptive", "label changed"), "points", 0.1),
        claims.Part("AUC of aimed PGD less AUC of the adaptive attack", neighbours.difference("aimed PGD", "adaptive", "AUC"), "AUC", 0),
    ],
    seconds=neighbours.seconds,
)  # fmt: skip
print(claim)
print()
for arm in (
    "PGD, eps 0.1",
    "PGD, supervised reader",
    "noise, eps 0.1",
    "noise, supervised reader",
    "clean, named wrong",
    "other clean ones",
):
    print(f"{arm:26} AUC by seed:", ", ".join(f"{each:.2f}" for each in auc_of(arm)))
print(
    "accuracy of the readers, %:",
    {kind: neighbours.values(f"{kind} reader", "accuracy") for kind in ("simclr", "supervised")},
)
print(
    "two counts, each with its threshold, as in the paper: % of clean pictures rejected",
    neighbours.values("two counts", "rejected"),
    "and of PGD at eps 0.1",
    [round(each, 1) for each in neighbours.values("two counts", "caught at 5 %")],
)

# %% [markdown]
# **What we see.** What was asked for is there in every seed: attacks stand out, noise of the same size far less, and
# the label term makes the difference. The conflict of goals is visible too. Who knows the detector changes 6 to 14
# labels fewer in a hundred than who aims at the same classes without knowing it, and lowers the AUC by 0.06 to 0.09. But
# he lowers it to 0.81 to 0.90, and at 5 % false alarms more than half of his successes are still found. (These AUCs are
# of 47 to 82 successes in 200 attempts, each sure to about ±0.06.)
#
# Not seen is the paper's reason for a *self-supervised* reader. A supervised one of the same size, which is none of the
# attacked net's weights, tells PGD as well or better, and is no more alarmed by noise; its head is also the more
# accurate. At this scale the work seems to be done by a *second opinion on changed copies*, whoever taught it. The
# paper's nets, pictures and 50 copies are out of reach here; only the direction compares.

# %% [markdown]
# ## Tracing: on whose copy was this attack made?
#
# A seller gives the same classifier to five buyers. One of them attacks it at home, with all gradients at hand, and
# uses what comes out against another buyer. The examples transfer, so nobody is safe. But *who* was it?
#
# Fang and others (2022, arXiv 2301.01218) let the seller prepare for the question. Every buyer gets the common
# classifier $C$ and a small net of his own beside it, the **tracer** $T_i$, which no one else has:
#
# $$M_i(x) = C(x) + a\,t_i(x),\qquad t_i(x) = \frac{T_i(x)}{\lVert T_i(x)\rVert_2}$$
#
# The tracer is trained to be as nervous as possible: signs of noise $n = \pm\sigma$ at every pixel are to turn its
# answer round,
#
# $$L_i = \cos\bigl(T_i(x),\, T_i(\mathrm{clip}(x + n))\bigr)\;\to\;-1 .$$
#
# So its gradients are large, and whoever climbs the gradient of $M_i$ climbs mainly through $t_i$. Given an example
# $x'$, the true class $y$ and the class $y'$ that the *victim* named, every tracer is asked how far it was driven from
# $y$ to $y'$, and the one that was driven furthest is the source. Evidence of several examples is added up:
#
# $$\mathrm{DOL}_i = t_i(x')[y'] - t_i(x')[y],\qquad \text{source} = \arg\max_i \textstyle\sum_n \mathrm{DOL}_i(x'_n)$$
#
# (DOL is the *difference of logits*. We had the abstract of the paper, not its text: unit length and the cosine are
# our working version of its noise-sensitive loss.)

# %%
import math

from sklearn.metrics import confusion_matrix

COPIES, SUSPECT_EPS = 5, 0.15  # buyers; how far an attacked pixel may move
buyer_digits = tested_digits[range(size.pick(smoke=60, lab=600, gpu=2_000))]
buyer_x, buyer_y = buyer_digits.images / 255, buyer_digits.labels
selling = {
    "steps": size.pick(smoke=8, lab=300, gpu=3_000),
    "batch_size": size.pick(smoke=32, lab=128, gpu=512),
    "width": size.pick(smoke=4, lab=8, gpu=32),
}


def sold_net(kind, seed, number, *, steps, batch_size, width, sigma=0.1):
    """One small net, kept once it is trained: a classifier, or a tracer that noise turns round."""
    net = nets.small_conv(width, seed=1000 * seed + number)
    plan = {"steps": steps, "batch_size": batch_size, "seed": 1000 * seed + number, "progress": False}
    known = plan | {"kind": kind, "width": width, "sigma": sigma, "pictures": seller_digits.fingerprint()}
    if kind == "classifier":
        return kept.trained(net, lambda net: robust.fit(net, seller_digits, **plan), code=robust.fit, **known)
    tracer = tracing.Tracer(net)
    if kind == "untrained":
        return tracer.eval()
    train = lambda tracer: tracing.fit(tracer, seller_digits, sigma=sigma, **plan)  # noqa: E731
    return kept.trained(tracer, train, code=tracing, **known)


# %% [markdown]
# ### What holds exactly
#
# $|a\,t_i| \le a$ in every logit, so two logits move by at most $\sqrt2\,a$ against each other: where the margin of $C$
# is wider than that, no tracer changes the answer. Unit length takes the *scale* of a tracer away. Without it a tracer
# shrinks beside the classifier, and the attack passes it by. And the noise is cut off where the paper is black: half
# the signs point outside of $[0, 1]$. With the nets of seed 0:

# %%
shop = {
    "classifier": sold_net("classifier", 0, 0, **selling),
    "tracers": [sold_net("tracer", 0, 10 + i, **selling) for i in range(COPIES)],
}


def copies_at(strength):
    return [tracing.Copy(shop["classifier"], tracer, strength) for tracer in shop["tracers"]]


with torch.no_grad():
    top = shop["classifier"](buyer_x).topk(2, dim=1)
    sure = top.values[:, 0] - top.values[:, 1] > math.sqrt(2) * 4
    kept_names = torch.stack([copy(buyer_x).argmax(1) == top.indices[:, 0] for copy in copies_at(4.0)])
    noisy = tracing.sign_noise(buyer_x, 0.1, generator(0))
    turned = [float(tracing.sensitivity(t(buyer_x), t(noisy)).mean()) for t in shop["tracers"]]
same = kept_names.all(0)
print(f"margin of C above sqrt(2) a at a = 4: {int(sure.sum())} of {len(sure)} test pictures;")
print(
    f"  {int(same[sure].sum())} of these keep their class in all copies, and {int(same[~sure].sum())} of the others"
)
print("cosine of a tracer with itself under fresh noise:", ", ".join(f"{each:+.2f}" for each in turned))
print(f"share of the pixels that the noise still moves: {float((noisy != buyer_x).double().mean()):.0%}")

# %% [markdown]
# ### The experiment
#
# MNIST at 16 x 16. $C$ and every tracer are small convolutional nets (Adam, 300 steps of 128; $\sigma = 0.1$). Of each
# of five copies, the first 200 test pictures that it names right are attacked by PGD, 15 steps, $\epsilon = 0.15$. What
# fools the source is shown to the *next* copy, the victim. Only examples that fool both count, and $y'$ is what the
# victim said. *K = 2*: was it the source or the victim (chance 50 %)? *K = 5*: which of all (chance 20 %)? One example,
# or ten together.
#
# Controls: $a = 0$, where all copies are one function; *untrained tracers*; *classifying tracers*, trained on the
# labels; *independent copies*, five classifiers of their own without a common $C$, judged by their logits. Then other
# attacks (FGSM; PGD on the margin), noise of other sizes in the training, and two buyers who know: one *averages* his
# gradient *over noise* (5 draws), the other takes the tracer off and attacks *C alone*.


# %%
def forensics(copies, judges, x, y, attack):
    """Attack each copy, show what comes out to the next one, and ask every tracer (`judges`) for its DOL.

    Only pictures that the source names right count, and only attacks that fool both the source and that victim.
    """
    answers = torch.stack([copy(x).argmax(1) for copy in copies])  # (copies, N)
    found = {"DOL": [], "own DOL": [], "won": [], "tried": 0, "transfer": []}
    for i, source in enumerate(copies):
        right = answers[i] == y
        attacked, labels = attack(source, x[right], y[right]), y[right]
        mine, named = source(attacked).argmax(1), copies[(i + 1) % len(copies)](attacked).argmax(1)
        fooled = mine != labels
        won = fooled & (named != labels)
        found["DOL"].append(tracing.dol(judges, attacked[won], named[won], labels[won]))
        found["own DOL"].append(tracing.dol(judges, attacked[won], mine[won], labels[won]))
        found["won"].append(int(fooled.sum()))
        found["tried"] += len(labels)
        found["transfer"].append(int(won.sum()))
    accuracy = float((answers == y).double().mean())
    return found | {"accuracy": accuracy}


def traced_share(scores, votes=1, pair=False):
    """Percent of the groups of `votes` examples that name their source: among all copies, or source and victim."""
    hits, groups = 0, 0
    for i, dol in enumerate(scores):
        if pair:
            dol = dol[:, [i, (i + 1) % len(scores)]]
        if len(dol) >= votes:
            named = tracing.trace(dol, votes=votes)
            hits, groups = hits + int((named == (0 if pair else i)).sum()), groups + len(named)
    return 100 * hits / max(groups, 1)


def summary(found, votes=10):
    scores = found["DOL"]
    few = {"one": 1, "ten": min(votes, *(max(len(dol), 1) for dol in scores))}
    return {
        "clean accuracy": 100 * found["accuracy"],
        "attack success": 100 * sum(found["won"]) / max(found["tried"], 1),
        "transfer": 100 * sum(found["transfer"]) / max(sum(found["won"]), 1),
    } | {
        f"K = {k}, {name}": traced_share(scores, n, pair=k == 2)
        for k in (2, len(scores))
        for name, n in few.items()
    }


def origin(seed, *, strengths, sigmas, images, n_iter, eot, steps, batch_size, width):
    """Every arm: tracing with one example and with ten, among two copies and among all."""
    plan = {"steps": steps, "batch_size": batch_size, "width": width}
    common = sold_net("classifier", seed, 0, **plan)
    tracers = [sold_net("tracer", seed, 10 + i, **plan) for i in range(COPIES)]
    untrained = [sold_net("untrained", seed, 10 + i, **plan) for i in range(COPIES)]
    others = [sold_net("classifier", seed, 1 + i, **plan) for i in range(COPIES)]
    x, y = buyer_x[:images], buyer_y[:images]

    def pgd(model, x, y, **options):
        return attacks.pgd(model, x, y, **{"eps": SUSPECT_EPS, "n_iter": n_iter, "seed": seed} | options)

    def averaged(model, x, y):  # a buyer who attacks through noise, and averages
        draw = generator(seed, 5)
        return pgd(lambda x: model(tracing.sign_noise(x, 0.1, draw)), x, y, eot=eot)

    def sell(tracers, strength=4.0):
        return [tracing.Copy(common, tracer, strength) for tracer in tracers]

    found, course = {}, []
    clean = 100 * attacks.accuracy(common, buyer_x, buyer_y)
    for strength in strengths:
        copies = sell(tracers, strength)
        one = forensics(copies, tracers, x, y, pgd)
        found[f"a = {strength:g}"] = summary(one)
        course.append(found[f"a = {strength:g}"])
        if strength == 4:
            named = [tracing.trace(dol).tolist() if len(dol) else [] for dol in one["DOL"]]
            true = [i for i, each in enumerate(named) for _ in each]
            table = confusion_matrix(true, sum(named, []), labels=range(COPIES), normalize="true")  # noqa: RUF017
            found["a = 4"]["confusion"] = (100 * table).tolist()
            found["a = 4, y' of the source"] = summary(one | {"DOL": one["own DOL"]})
        # On all test pictures, not only on those that are attacked.
        accuracy = sum(attacks.accuracy(copy, buyer_x, buyer_y) for copy in copies) / COPIES
        found[f"a = {strength:g}"]["clean accuracy"] = 100 * accuracy
        found[f"a = {strength:g}"]["clean cost"] = clean - 100 * accuracy
    copies = sell(tracers)
    found["FGSM"] = summary(forensics(copies, tracers, x, y, lambda *a: attacks.fgsm(*a, eps=SUSPECT_EPS)))
    found["margin attack"] = summary(forensics(copies, tracers, x, y, lambda *a: pgd(*a, loss="margin")))
    found["untrained tracers"] = summary(forensics(sell(untrained), untrained, x, y, pgd))
    naming = [tracing.Tracer(net) for net in others]
    found["classifying tracers"] = summary(forensics(sell(naming), naming, x, y, pgd))
    found["independent copies"] = summary(forensics(others, others, x, y, pgd))
    half = images // 2
    found["buyer averages over noise"] = summary(forensics(copies, tracers, x[:half], y[:half], averaged))
    found["buyer attacks C alone"] = summary(
        forensics(copies, tracers, x, y, lambda _, x, y: pgd(common, x, y))
    )
    for sigma in sigmas:
        two = [sold_net("tracer", seed, 10 + i, sigma=sigma, **plan) for i in range(2)]
        found[f"sigma = {sigma:g}"] = summary(forensics(sell(two), two, x, y, pgd))
    for name in ("one", "ten"):
        found[f"{name} example{'s' if name == 'ten' else ''}"] = {"a": list(strengths)} | {
            f"{short}, %": [each[long.format(name)] for each in course]
            for short, long in {
                "clean accuracy": "clean accuracy", "K = 2": "K = 2, {}", "K = 5": f"K = {COPIES}, {{}}"
            }.items()
        }  # fmt: skip
    return found


origins = studies.run(
    "tracing-origin",
    origin,
    seeds=size.seeds,
    strengths=size.pick(smoke=[0, 4], lab=[0, 0.2, 2, 4, 8], gpu=[0, 0.2, 2, 4, 8]),
    sigmas=[0.05, 0.2],
    images=size.pick(smoke=20, lab=200, gpu=1_000),
    n_iter=size.pick(smoke=2, lab=15, gpu=40),
    eot=size.pick(smoke=2, lab=5, gpu=20),
    **selling,
)
print(origins)
origins.table()

# %%
plots.arms(
    origins,
    "clean accuracy",
    "transfer",
    f"K = {COPIES}, one",
    f"K = {COPIES}, ten",
    only=[arm for arm in origins.arms if "example" not in arm and "sigma" not in arm],
    lines={name: {"chance": 100 / COPIES} for name in (f"K = {COPIES}, one", f"K = {COPIES}, ten")},
)

# %% [markdown]
# In %, every dot a seed (clean accuracy on all 600 test pictures for the rows named by $a$ alone, on the attacked 200
# for the others). At $a = 4$ a single example names the source among five in more than four cases of five, ten examples
# do without fail, and clean accuracy falls by about 4 points. Without training there is little to trace: *untrained*
# and *classifying* tracers name it in 25 to 39 % with one example. (A share of one seed is known to about ±3 points
# from one example, some 850 of them; ten at a time are 85 groups, and 100 % of these means above 95 %.)
#
# **The attack still works**: at $a = 4$ more than four of five examples transfer to the next copy. The copies are
# told apart, not protected.
#
# Two rows spoil the picture. **FGSM** is near chance, also with ten examples (25 to 38 %): one large step overshoots the
# tracer, whose answer turns within $\sigma = 0.1$. And **independent copies** are traced as well as tracers at $a = 4$ in two seeds of three, and not
# much worse in the third, at no cost of accuracy: five nets trained apart differ by themselves. What the tracer saves
# is the training of a whole classifier for every buyer.

# %%
fig = plots.courses(
    origins,
    "clean accuracy, %",
    "K = 2, %",
    "K = 5, %",
    over="a",
    only=["one example", "ten examples"],
    label="a, the strength of the tracer",
)
for ax, chance in zip(fig.axes[1:], (50, 20), strict=True):
    ax.axhline(chance, color="grey", linestyle=":", linewidth=1)
fig

# %% [markdown]
# Dotted is chance, thin lines are seeds. Accuracy falls with $a$, slowly to 4 and fast beyond. Tracing rises steeply to
# $a = 4$ and then *falls*, of two copies in every seed, of five in two seeds of three. A likely reason: at 8 the
# victim's own tracer has much to say about $y'$, and fewer attacks transfer.
#
# Who is mistaken for whom? Rows are the copies on which the examples were made, columns the copies that were named, in
# % of the row, mean over seeds. The diagonal is what the seller hopes for; the victim is always the next one, right of
# the diagonal.

# %%
from sslwork.plots.matrix import matrix

confusion = torch.tensor(origins.values("a = 4", "confusion")).mean(0)
numbered = [str(i + 1) for i in range(COPIES)]
matrix({"made on (row), named (column), %": confusion}, numbered, numbered, low=0, high=100, digits=0)

# %%
next_one = float(torch.stack([confusion[i, (i + 1) % COPIES] for i in range(COPIES)]).mean())
bystanders = (100 - float(confusion.diag().mean()) - next_one) / (COPIES - 2)
print(
    f"named: source {float(confusion.diag().mean()):.0f} %, victim {next_one:.1f} %, each bystander {bystanders:.1f} %"
)

# %% [markdown]
# The diagonal is bright in every row: no copy hides behind another. Blame that goes astray goes to the victim about twice
# as often as to each of the bystanders: the line above has the numbers.
#
# ### The fingerprint is a weakness
#
# Why does the attack go through the tracer? Below, the gradient of $z[y'] - z[y]$ with respect to the pixels of one
# digit, in absolute values: of $C$, and of three tracers, each as bright as its largest pixel. The table says what
# share of the length of both gradients is the tracer's, over 200 pictures, when the tracer is trained and when it is
# not.


# %%
def steepness(net, x, y, wrong):
    """|d (z[y'] - z[y]) / d x|, (N, 1, H, W)."""
    x = x.clone().requires_grad_()
    z = net(x)
    (slope,) = torch.autograd.grad((z.gather(1, wrong[:, None]) - z.gather(1, y[:, None])).sum(), x)
    return slope.abs()


some, some_y = buyer_x[:200], buyer_y[:200]
second = top.indices[:200, 1].where(top.indices[:200, 1] != some_y, top.indices[:200, 0])
steep = {"C": steepness(shop["classifier"], some, some_y, second)}
steep |= {f"tracer {i + 1}": steepness(t, some, some_y, second) for i, t in enumerate(shop["tracers"][:3])}
shown_row = 1
plots.pictures(
    torch.stack([some[shown_row], *(each[shown_row] / each[shown_row].max() for each in steep.values())]),
    titles=["the digit", *steep],
    zoom=8,
)

# %%
untrained_slope = steepness(sold_net("untrained", 0, 10, **selling), some, some_y, second)
length = {
    name: each.flatten(1).norm(dim=1)
    for name, each in (steep | {"untrained tracer": untrained_slope}).items()
}
pd.DataFrame(
    {
        name: {
            f"a = {a:g}": f"{float((a * each / (a * each + length['C'])).median()):.0%}"
            for a in (0.2, 2, 4, 8)
        }
        for name, each in length.items()
        if name != "C"
    }
).rename_axis("tracer's share, median")

# %% [markdown]
# The classifier's gradient follows the strokes, a tracer's is speckle, another one for each copy. Trained, it is three
# to five times as steep as untrained. Yet it is not the larger part: at $a = 4$ a fifth to a quarter of the length.
# *Mainly through the tracer* is too much said, at least at the first step; so small a part in a direction of one's own,
# taken fifteen times, is enough to be recognised.
#
# ### Be the investigator
#
# Choose the copy on which the attack was made, how far pixels may move, and how strong the tracers are. Left: the
# evidence against each copy. Middle: source against victim, one point per example; the farther below the dotted line
# the red points, the clearer the case. Right: how many groups of $n$ examples name the source; dotted is chance. 60
# test pictures, PGD with 10 steps.

# %%
from sslwork.plots.verdicts import verdicts


@functools.cache
def made_on(source, eps, a):
    """DOL of the examples made on a copy which fool it and the next one, and the share of those that transfer."""
    copies, few = copies_at(a), size.pick(smoke=20, lab=60, gpu=400)
    victim = copies[(source + 1) % COPIES]
    with torch.no_grad():
        right = copies[source](buyer_x[:few]).argmax(1) == buyer_y[:few]
    x, y = buyer_x[:few][right], buyer_y[:few][right]
    attacked = attacks.pgd(copies[source], x, y, eps=eps, n_iter=10)
    with torch.no_grad():
        fooled, named = copies[source](attacked).argmax(1) != y, victim(attacked).argmax(1)
    won = fooled & (named != y)
    dol = tracing.dol(shop["tracers"], attacked[won], named[won], y[won])
    return dol, int(fooled.sum()), len(y)


def draw_verdict(made_on_copy, eps, a, examples):
    source = int(made_on_copy) - 1
    other = (source + 1) % COPIES
    (mine, fooled, tried), (theirs, *_) = made_on(source, eps, a), made_on(other, eps, a)
    if len(mine) == 0 or len(theirs) == 0:
        tried = attacks.pgd(copies_at(a)[source], buyer_x[:8], buyer_y[:8], eps=eps, n_iter=10)
        return plots.pictures(tried), "No attack fooled both source and victim: raise eps."
    votes = min(examples, len(mine))
    share = float((tracing.trace(mine, votes=votes) == source).double().mean())
    low, high = attacks.wilson(int((tracing.trace(mine) == source).sum()), len(mine))
    return verdicts([mine, theirs], source, other, votes=votes), (
        f"{fooled} of {tried} attacks fool copy {source + 1}, and {len(mine)} of these copy {other + 1}. One example names the "
        f"source in {low:.0%} to {high:.0%} (95 %), chance {1 / COPIES:.0%}; groups of {votes} in {share:.0%}."
    )


Sliders(draw_verdict, made_on_copy=numbered, eps=(0.05, 0.3, 0.15), a=(0.0, 10.0, 4.0), examples=(1, 12, 4))

# %% [markdown]
# Move $a$ to 0: all copies are one function, and the points lie on both sides of the line whoever it was.
#
# ### Exercise: how many examples does a court need?
#
# `scores` holds the DOL of examples made on copy `source`, (N, copies). Write `examples_needed(scores, source, sure)`:
# the smallest $n$ for which at least a share `sure` of the groups of $n$ successive examples names the source, and None
# if no $n$ up to N does. Groups do not overlap; what is left over goes unused.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "examples-needed", "locked": false, "schema_version": 3, "solution": true, "task": false}
def examples_needed(scores, source, sure):
    ### BEGIN SOLUTION
    for n in range(1, len(scores) + 1):
        groups = scores[: len(scores) // n * n].unflatten(0, (-1, n)).sum(1)
        if (groups.argmax(1) == source).double().mean() >= sure:
            return n
    return None
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "examples-needed-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
sure_case = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.0]])
assert examples_needed(sure_case, 0, 1.0) == 1, "every example names copy 0: one is enough"
assert examples_needed(sure_case, 1, 0.5) is None, "no number of these examples names copy 1"
mixed = torch.tensor([[0.9, 0.1], [0.1, 0.2], [0.9, 0.0], [0.0, 0.3]])
assert examples_needed(mixed, 0, 0.5) == 1, "half of the single examples name copy 0"
assert examples_needed(mixed, 0, 0.9) == 2, (
    "add the evidence up before you take the largest: pairs name copy 0"
)
noisy_case = torch.randn(600, 5, generator=generator(7)) + torch.tensor([0.0, 0.0, 0.5, 0.0, 0.0])
assert examples_needed(noisy_case, 2, 0.95) == next(
    n for n in range(1, 601) if (tracing.trace(noisy_case, votes=n) == 2).double().mean() >= 0.95
), "compare with tracing.trace(scores, votes=n)"
print("Enough examples: named.")

# %% [markdown]
# ### A colleague's worry
#
# "You read the tracers' logits. Should it not be those of the whole copy, which the attacker climbed?" It makes no
# difference: $M_i(x')[y'] - M_i(x')[y]$ is the same difference of $C$ for every $i$, plus $a\,\mathrm{DOL}_i$. What is
# common to all candidates cannot speak against one of them. (For independent copies nothing is common, and the same
# reading is a guess.)
#
# Another choice does matter: $y'$ is what the **victim** said, since nobody has the attacker's own. In the study this
# costs evidence (*y' of the source* against $a = 4$): of all classes, the victim says the one that its own tracer leans
# to, so a little of the guilt is always moved from the source to the victim.
#
# ### The claim
#
# Set before we looked, each for every seed: at $a = 4$ one example names the source 10 points above chance, of two
# copies and of five; that costs at most 5 points of clean accuracy; ten examples add another 10 points; trained tracers
# beat those that are untrained or trained on labels; and from one $a$ to the next (0.2, 2, 4, 8) tracing never falls
# and clean accuracy never rises.


# %%
def traced_by(arm, measure):
    return [results[arm][measure] for results in origins.results.values()]


both = [f"K = {k}" for k in (2, COPIES)]
ladder = [arm for arm in origins.arms if arm.startswith("a = ") and "'" not in arm and arm != "a = 0"]


def smallest(*columns):
    """Seed by seed the smallest of several effects."""
    return [min(row) for row in zip(*columns, strict=True)]


def step_up(measure, sign=1):
    """Seed by seed the smallest step along the ladder of strengths."""
    values = [traced_by(arm, measure) for arm in ladder]
    return [
        min((sign * (b - a) for a, b in itertools.pairwise(row)), default=0)
        for row in zip(*values, strict=True)
    ]


plain_tracers = ("untrained tracers", "classifying tracers")
claim = claims.record(
    system="123",
    paper="Of copies with a tracer each, an adversarial example tells on which it was made, at little cost of accuracy.",
    measured=(
        "MNIST at 16 x 16, five copies of one small convolutional net with unit tracers (Adam, 300 steps), a = 4; PGD with 15 "
        "steps, eps 0.15, 200 pictures per copy; y' as named by another copy; only attacks that fool both."
    ),
    parts=[
        claims.Part("two copies, one example, above chance", [v - 50 for v in traced_by("a = 4", "K = 2, one")], "points", 10),
        claims.Part("five copies, one example, above chance", [v - 100 / COPIES for v in traced_by("a = 4", f"K = {COPIES}, one")], "points", 10),
        claims.Part("clean accuracy left of the 5 points it may cost", [5 - v for v in traced_by("a = 4", "clean cost")], "points", 0),
        claims.Part(
            "ten examples less one, the smaller gain of K = 2 and 5",
            smallest(*([b - a for a, b in zip(traced_by("a = 4", f"{k}, one"), traced_by("a = 4", f"{k}, ten"), strict=True)] for k in both)),
            "points", 10,
        ),
        claims.Part(
            "one example, less the better of untrained and classifying tracers, the smaller of K = 2 and 5",
            smallest(*(origins.difference("a = 4", arm, f"{k}, one") for arm in plain_tracers for k in both)),
            "points", 0.1,
        ),
        claims.Part("smallest step of tracing (K = 5) from one a to the next", step_up(f"K = {COPIES}, one"), "points", 0),
        claims.Part("smallest fall of clean accuracy from one a to the next", step_up("clean accuracy", -1), "points", 0),
    ],
    seconds=origins.seconds,
)  # fmt: skip
print(claim)
print()
for arm in (
    "a = 4",
    "buyer averages over noise",
    "buyer attacks C alone",
    "FGSM",
    "margin attack",
    "independent copies",
):
    print(
        f"{arm:26} one example, K = 2: {traced_by(arm, 'K = 2, one')}, K = {COPIES}: {traced_by(arm, f'K = {COPIES}, one')}"
    )

# %% [markdown]
# **What we see.** Tracing at $a = 4$ is far above what was asked for, with one example and with ten, and training the
# tracers is what does it. The price, about 4 points of accuracy, is just within the bound, and not the paper's near to
# nothing.
#
# What is *not* so are two of our own expectations, and the verdict follows the weakest part. Ten examples were to add
# 10 points: of two copies one example has 90 % already, and ten have all of the ten that are left, a hair less in two
# seeds. And the source was to be ever plainer as $a$ grows: in two seeds it is plainest at 4. At 8 the tracers change
# one clean answer in six by themselves, and what the victim says is then largely about the victim. The paper promises
# neither.
#
# And the honest limit. A buyer who averages his gradient over five draws of noise, which is what the tracer was trained
# to dislike, is named by one example half as often as before among five, though still above chance. One who takes the
# tracer off and attacks $C$ alone is found hardly more often than by chance (22 to 34 % of the groups of ten, chance is
# 20), and so is one who takes a single large step. A fingerprint is a
# weakness that was placed on purpose: whoever knows where it is need not touch it. Black-box attacks with thousands of
# queries, which the paper also traces, were not tried.

# %% [markdown]
# ## Where next?
#
# - Notebook 09: the attacks, the nine checks and the proofs that are used here.
# - Notebook 11: poisoned training sets and attacked encoders; at its end the lab, where filters and attackers can be
#   set against each other.
# - What all papers say and what was measured here: `claims.table()`.
# - The same code on a GPU, longer and wider: start JupyterLab with `SSLWORK_SCALE=gpu`.
