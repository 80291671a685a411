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
# # What the contrastive loss does
#
# A contrastive loss pulls two views of a picture together and pushes the others away. Nothing else happens in it, and
# yet there are dozens of them. They differ in the answer to one question: **who is pushed, and how hard?**
#
# 1. One scene and eight losses; *MoCo*; *alignment and uniformity*, what is left when there are many negatives.
# 2. *Behaviour of contrastive loss*: whom the temperature picks, and the dilemma it leads to.
# 3. *Decoupled contrastive learning* and *iSogCLR*: the positive out of the sum; a temperature for every picture.
# 4. *CACR* and *GroCo*: pull the farthest, push the nearest; or sort, and ask for the right order.
# 5. *MoCHi*: make negatives that are harder than any there are.
#
# Closed forms and everything you can move are computed on the spot. Numbers of longer trainings come from recorded
# studies of the code you see, three seeds each; change that code, and they are measured anew (minutes). Every section
# ends in a claim, with a verdict that three seeds decide, and an exercise that checks itself.
#
# ## The pictures
#
# MNIST digits, each turned, sized and shifted once, for good. A view cuts and turns them a little and changes the
# strength of the stroke.
#
# Accuracy is read by two probes from the frozen encoder, before its head: **k-NN** (20 neighbours, weighted by their
# similarity) and **linear** (a logistic regression). Both learn from labels of training pictures and are asked about
# new ones. Beside the methods stand two controls, *raw pixels* and the *untrained* encoder; ± is the standard deviation
# over seeds.

# %%
import torch

from sslwork import (
    claims,
    data,
    embed,
    encoders,
    losses,
    measures,
    methods,
    plots,
    probing,
    scale,
    studies,
    train,
)
from sslwork.views import Views
from sslwork.widgets import Sliders

size = scale.current()
print(size)

# %%
throw = {"size": 16, "turn": 30, "scale": (0.8, 1.2), "shift": 0.2}
pictures = data.load("affine-digits", count=size.pick(smoke=600, lab=20_000, gpu=60_000), **throw)
test = data.load("affine-digits", split="test", count=size.pick(smoke=200, lab=2_000, gpu=10_000), **throw)
bank = pictures[: size.pick(smoke=300, lab=4_000, gpu=20_000)]  # labelled, for the probes
views = Views(crop=0.5, flip=0, rotate=25, brightness=0.4, contrast=0.4, saturation=0, hue=0, grey=0)
width = size.pick(smoke=4, lab=16, gpu=64)


def encoder(seed):
    return encoders.conv(width, 3, seed=seed)


# %%
plots.pairs(*views.pair(pictures[:16].images, torch.Generator().manual_seed(0)), pictures[:16].images)

# %% [markdown]
# ## One scene: who is pushed, and how hard?
#
# A contrastive loss sees nothing but similarities. Every picture is an arrow of length one; an **anchor** is to be
# near its **positives**, other views of the same picture, and far from the **negatives**, views of other pictures. So
# each loss in this notebook can be drawn as a set of forces: minus its gradient, on each point, along the circle.
#
# Here is one scene on the circle: one anchor, two positives, twelve negatives. Eight losses look at it. In all of them
# the anchor is drawn to the positives. What differs is the answer to two questions, and they are this notebook:
# **who is pushed? How hard?**

# %%
from itertools import pairwise

import numpy as np
from torch.nn.functional import normalize

from sslwork.plots.courses import courses
from sslwork.widgets import ForceArrows


def info_nce(anchor, positives, negatives, temperature):
    return losses.info_nce(anchor.expand_as(positives), positives, negatives, temperature=temperature)


def as_batch(anchor, positive, negatives):
    """The anchor as row 0 of a batch, in which the negatives are the other pictures."""
    return torch.cat([anchor, negatives]), torch.cat([positive, negatives])


def of_first_row(loss, anchor, positives, negatives, **options):
    rows = [
        loss(*as_batch(anchor, positive[None], negatives), reduction="none", **options)[0]
        for positive in positives
    ]
    return torch.stack(rows).mean()


def dcl(anchor, positives, negatives, temperature):
    return of_first_row(losses.dcl, anchor, positives, negatives, temperature=temperature)


def hardest_quarter(anchor, positives, negatives, temperature):
    return of_first_row(
        losses.hard_contrastive, anchor, positives, negatives, temperature=temperature, alpha=0.25
    )


def own_temperature(anchor, positives, negatives):
    temperature = losses.temperature_for(anchor @ negatives.T, rho=0.4)
    return info_nce(anchor, positives, negatives, temperature.detach())


def align_uniform(anchor, positives, negatives):
    near, far = ((anchor - points).square().sum(1) for points in (positives, negatives))
    return near.mean() + (-2 * far).logsumexp(0)


def cacr(anchor, positives, negatives):
    near, far = ((anchor - points).square().sum(1) for points in (positives, negatives))
    return (near.softmax(0) * near).sum() - ((-2 * far).softmax(0) * far).sum()


def groco(anchor, positives, negatives):
    views = [torch.cat([point, negatives]) for point in (anchor, *positives[:, None])]
    return losses.groco(*views, top_k=5, steepness=5.0, stop_gradient=False, reduction="none")[0]


def mochi(anchor, positives, negatives, temperature):
    """Mixtures are pushed, too, but nobody owns them: the push shows on the anchor alone."""
    draw = torch.Generator().manual_seed(0)
    made = losses.mochi_negatives(anchor, negatives, n_hard=4, n_mixed=4, n_query_mixed=4, generator=draw)[0]
    return info_nce(anchor, positives, torch.cat([negatives, made]), temperature)


arrows = ForceArrows(
    {
        "NT-Xent": info_nce,
        "align + uniform": align_uniform,
        "DCL": dcl,
        "hardest quarter": hardest_quarter,
        "iSogCLR": own_temperature,
        "CACR": cacr,
        "GroCo": groco,
        "MoCHi": mochi,
    },
    seed=8,
)
arrows

# %% [markdown]
# Blue is the anchor, green are positives, orange negatives; the longest arrow of each loss has one length, and its size
# stands above it. Things to try:
#
# - Make it **cold** (0.05): in NT-Xent one negative takes most of the push. **Hot** (2): nearly all of them are pushed,
#   and most of all those to the side, where a similarity changes fastest along the circle. Alignment and uniformity,
#   CACR and GroCo have no temperature, iSogCLR finds its own: they stay.
# - Turn the **anchor** until a negative stands between it and the positives. Whom does it push then?
# - Tick *one scale* and watch the *sizes*: the gradient carries a factor $1/\tau$, one over the temperature. Plain
#   descent feels it, Adam divides it out again. Each training below says which of the two it uses.
#
# ## The bases
#
# Three losses to which all others are compared. **NT-Xent** (SimCLR) takes its negatives from the batch; you met it in
# *Start here*. **MoCo** takes them from a queue. **Alignment and uniformity** is what both become when there are many.
#
# ### MoCo: negatives from a queue
#
# A large batch is dear. He and others (2020) keep the embeddings of former batches instead. One view of picture $i$ is
# the query $q_i$, the other its key $k_i$; keys of earlier pictures wait in a queue $Q$ of $K$ rows:
#
# $$L = \operatorname{mean}_i\, -\log \frac{\exp(q_i \cdot k_i / \tau)}{\exp(q_i \cdot k_i / \tau) + \sum_{j=1}^{K} \exp(q_i \cdot Q_j / \tau)}$$
#
# The newest keys replace the oldest, first in, first out. Keys get no gradient. So an encoder that moves fast would
# compare queries of now with keys of an encoder that no longer exists. Hence the second part: keys come from a slow
# **twin**, $\theta_k \leftarrow m\,\theta_k + (1 - m)\,\theta_q$.
#
# Both parts, exactly: if the queue holds the other keys of the batch, the loss is InfoNCE within the batch; and after
# each step, the queue has moved by one batch.

# %%
q, k = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.double)
others = [k[torch.arange(6) != i] for i in range(6)]
queued = torch.stack([losses.info_nce(q[[i]], k[[i]], others[i], temperature=0.2) for i in range(6)])
within = losses.hard_contrastive(q, k, temperature=0.2, alpha=1.0)
print(f"queue of the other keys: {queued.mean():.12f}, within the batch: {within:.12f}")

method = methods.MoCo(encoders.conv(4, 2), dim=8, queue=96)
start, moved = method.queue.clone(), []
train.fit(
    method, pictures, views=views, steps=3, batch_size=32, progress=False,
    show=lambda run: moved.append([int((method.queue[i : i + 32] != start[i : i + 32]).any()) for i in (0, 32, 64)]),
)  # fmt: skip
print("thirds of the queue that hold new keys, before the first step and after each:", moved)

# %% [markdown]
# ### Does the twin have to be slow?
#
# The queue here holds 1,024 keys, of the last eight batches of 128. *Oldest keys* is the mean cosine of a picture's
# key when it enters the queue and what it would be eight steps later, half-way through the training: 1 means that the
# queue is as good as new. **Optimiser: AdamW**, learning rate 0.003, temperature 0.2.


# %%
def slow_twin(seed, *, steps, momenta, queue, lr):
    def trained(momentum):
        method = methods.MoCo(encoder(seed), queue=queue, momentum=momentum, seed=seed)
        keys = []

        def look(run):
            if run.step in (steps // 2, steps // 2 + queue // 128):  # so many steps a key stays in the queue
                keys.append(normalize(embed(method.twin, test[:500], progress=False), dim=1))

        train.fit(method, pictures, views=views, steps=steps, batch_size=128, lr=lr, seed=seed, show=look)
        agreement = (keys[0] * keys[1]).sum(1).mean()
        return probing.accuracies(method.encoder, bank, test) | {"oldest keys": float(agreement)}

    arms = {"raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test)}
    arms["untrained"] = probing.accuracies(encoder(seed), bank, test)
    return arms | {f"momentum {momentum:g}": trained(momentum) for momentum in momenta}


queue_study = studies.run(
    "slow-twin",
    slow_twin,
    seeds=size.seeds,
    momenta=(0.0, 0.9, 0.99),
    queue=size.pick(smoke=256, lab=1024, gpu=16_384),
    lr=0.003,
    steps=size.pick(smoke=4, lab=300, gpu=20_000),
)
print(queue_study)
queue_study.table(2)

# %%
pixels = {measure: {"raw pixels": queue_study.mean("raw pixels", measure)} for measure in ("k-NN", "linear")}
plots.arms(queue_study, "k-NN", "linear", "oldest keys", only=queue_study.arms[1:], lines=pixels)

# %%
claim = claims.record(
    system="B2",
    paper="MoCo: a queue gives many negatives at a small batch, but its keys must come from a slowly moving twin.",
    measured=(
        "k-NN accuracy on new throws of MNIST digits, MoCo with momentum 0.99 less MoCo with momentum 0 (the twin is the "
        f"network itself); queue {queue_study.settings['queue']:,}, {queue_study.settings['steps']} steps of 128 pictures, AdamW."
    ),
    effects=queue_study.difference("momentum 0.99", "momentum 0", "k-NN"),
    unit="points of k-NN accuracy",
    needed=3,
    seconds=queue_study.seconds,
)
print(claim)

# %% [markdown]
# The mechanism shows in the last panel: without a slow twin the oldest keys have drifted from what the network would
# say now, with 0.99 they are as good as new. The accuracy follows, though less sharply between 0.9 and 0.99
# (see the seeds): a queue of eight batches is young. In the paper it is 256 batches long, and a twin without momentum
# does not train at all. Here it trains, and is worse.
#
# Mind the dotted line, too: after so few steps k-NN on raw pixels is still ahead. The claim is about the twin, not
# about that.
#
# ### Alignment and uniformity: what is left with many negatives
#
# Take NT-Xent on a batch of $N$ pictures, subtract $\log(2N - 1)$, and let the batch grow. The sum over negatives
# becomes a mean over all pictures (Wang and Isola, 2020). Let $x$ and $x^+$ be embeddings of two views of one picture,
# $y$ of any other. On rows of length one $x \cdot y = 1 - |x - y|^2 / 2$, so that everything can be said by distances;
# with $t = 1 / (2\tau)$ and $\text{uniformity}_t = \log \mathbb{E}_{x, y}\, e^{-t |x - y|^2}$
#
# $$L_\text{NT-Xent} - \log(2N - 1) \;\longrightarrow\; t \;\underbrace{\mathbb{E}\,|x - x^+|^2}_{\text{alignment}} \;+\;
# \mathbb{E}_x \log \mathbb{E}_y\, e^{-t |x - y|^2} \;\leq\; t \cdot \text{alignment} + \text{uniformity}_t .$$
#
# Both terms are measures of their own. Alignment: are the views of a picture close? Uniformity: are the pictures
# spread evenly? For points spread evenly over the sphere in space the two sides of $\leq$ are equal, and the second
# term is known in closed form, $\log \frac{1 - e^{-4t}}{4t}$. So the limit is known exactly.


# %%
def even_pairs(count, draw, noise=0.3):
    """Points spread evenly over the sphere, and partners at some distance, which are spread evenly as well."""
    x = normalize(torch.randn(count, 3, generator=draw, dtype=torch.double), dim=1)
    return x, normalize(x + noise * torch.randn(count, 3, generator=draw, dtype=torch.double), dim=1)


def limit(x, y, temperature):
    t = 1 / (2 * temperature)
    return t * measures.alignment(x, y) + float(np.log(-np.expm1(-4 * t) / (4 * t)))


def above_limit(x, y, temperature):
    loss = float(losses.nt_xent(x, y, temperature=temperature)) - np.log(2 * len(x) - 1)
    return loss - limit(x, y, temperature)


for count in (16, 256, 2048):
    x, y = even_pairs(count, torch.Generator().manual_seed(0))
    align, spread = measures.alignment(x, y), measures.uniformity(x, t=2.5)
    print(
        f"N = {count:>4}: alignment {align:.3f}, uniformity {spread:.3f}; 2.5 alignment + uniformity "
        f"{2.5 * align + spread:.4f}, NT-Xent - log(2N - 1) {limit(x, y, 0.2) + above_limit(x, y, 0.2):.4f}, "
        f"limit {limit(x, y, 0.2):.4f}"
    )

# %% [markdown]
# How fast? Wang and Isola prove that the gap falls at least as fast as $N^{-1/2}$. We draw many batches of each size
# and take the root mean square of the gap.


# %%
def many_negatives(seed, *, sizes, temperatures, draws):
    def gap(count, temperature):
        draw = torch.Generator().manual_seed(1000 * seed + count)
        gaps = [above_limit(*even_pairs(count, draw), temperature) for _ in range(draws)]
        return float(np.sqrt(np.mean(np.square(gaps))))

    def course(temperature):
        gaps = [gap(count, temperature) for count in sizes]
        slope = np.polyfit(np.log(sizes), np.log(gaps), 1)[0]
        return {"log2 N": np.log2(sizes), "gap to the limit": gaps, "power": -slope}

    return {f"τ = {temperature:g}": course(temperature) for temperature in temperatures}


limit_study = studies.run(
    "many-negatives",
    many_negatives,
    seeds=size.seeds,
    sizes=size.pick(smoke=(8, 16, 32), lab=(16, 32, 64, 128, 256, 512), gpu=(16, 32, 64, 128, 256, 512)),
    temperatures=(0.1, 0.2, 1.0),
    draws=size.pick(smoke=4, lab=40, gpu=40),
)
print(limit_study)
courses(limit_study, "gap to the limit", over="log2 N", label="log2 of the batch size N", log=True)

# %%
claim = claims.record(
    system="B6",
    paper="Alignment and uniformity: with many negatives the contrastive loss becomes the sum of the two; the gap falls at least as the root of their number.",
    measured=(
        "power of N with which the gap of NT-Xent to its limit falls, at the slowest of the temperatures 0.1, 0.2 and 1; "
        "random even pairs on the sphere, no training and no optimiser."
    ),
    effects=[
        min(powers)
        for powers in zip(*(limit_study.values(arm, "power") for arm in limit_study.arms), strict=True)
    ],
    unit="(power of 1/N)",
    needed=0.5,
    seconds=limit_study.seconds,
)
print(claim)
powers = {arm: limit_study.mean(arm, "power") for arm in limit_study.arms}
print({arm: round(power, 2) for arm, power in powers.items()})

# %% [markdown]
# Straight lines on the log scale: the gap falls by a power of $N$, near the first power. The root is what can be
# promised for any spread of points. For an even one the mean over negatives is the same for every anchor, and what is
# left is the positive in the sum and the curvature of the logarithm: both shrink as $1/N$. Colder lines lie higher:
# when few negatives count, more are needed until their mean stands still.
#
# So as a rule for reading losses: **the temperature is the $t$ of the uniformity**. Cold means that evenness is judged
# among close neighbours, and alignment weighs $1 / (2\tau)$.
#
# ### Exercise: the loss with a queue
#
# Write MoCo's loss: row $i$ of `k` is the key of row $i$ of `q`, all rows of `queue` are negatives of every query. Rows
# come at any length, and keys, old and new, get no gradient.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "moco", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_moco(q, k, queue, temperature):
    ### BEGIN SOLUTION
    q, k, queue = normalize(q, dim=1), normalize(k, dim=1).detach(), normalize(queue, dim=1).detach()
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1) / temperature  # (N, 1 + K)
    return (logits.logsumexp(1) - logits[:, 0]).mean()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "moco-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
alike = torch.ones(9, 3, dtype=torch.double)
assert abs(float(my_moco(alike[:2], alike[:2], alike[2:], 0.2)) - 2.07944) < 1e-4, (
    "all rows equal, seven keys in the queue: log 8; does the key of each query stand in the sum once?"
)
a, b, old = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
a, b = a.requires_grad_(), b.requires_grad_()
found = my_moco(a, b, old, 0.2)
assert torch.isclose(found, losses.info_nce(a, b, old, temperature=0.2)), (
    "the value is not that of the formula"
)
assert torch.isclose(found, my_moco(a, 3 * b, 2 * old, 0.2)), "the length of a row must not matter"
found.backward()
assert a.grad is not None and b.grad is None, "queries get a gradient, keys none"
print("Exercise: right.")

# %% [markdown]
# ## Behaviour of contrastive loss: whom does the temperature pick?
#
# Wang and Liu (2021) take the loss of one anchor $i$ apart. $s_{ii}$ is its similarity to the positive, $s_{ij}$ to the
# negatives:
#
# $$L_i = -\log \frac{\exp(s_{ii}/\tau)}{\exp(s_{ii}/\tau) + \sum_{j \neq i} \exp(s_{ij}/\tau)}, \qquad
# \frac{\partial L_i}{\partial s_{ij}} = \frac{P_{ij}}{\tau}, \qquad
# \frac{\partial L_i}{\partial s_{ii}} = -\frac1\tau \sum_{j \neq i} P_{ij}.$$
#
# The pull on the positive equals the push on all negatives together. What one negative gets of it is a Boltzmann law,
# with the temperature in the place of the temperature:
#
# $$r_{ij} = \left|\frac{\partial L_i / \partial s_{ij}}{\partial L_i / \partial s_{ii}}\right| =
# \frac{\exp(s_{ij}/\tau)}{\sum_{k \neq i} \exp(s_{ik}/\tau)}.$$
#
# So the loss is *aware of hardness*, and $\tau$ says how much. Its two ends:
#
# - $\tau \to 0$: $\tau L_i \to \max(0, \max_j s_{ij} - s_{ii})$. The nearest negative alone is pushed.
# - $\tau \to \infty$: $\tau (L_i - \log N) \to -s_{ii} + \frac1N \sum_j s_{ij}$, the sum with the positive. All are
#   pushed alike: the loss is blind to hardness. (The *simple loss*, `losses.simple_contrastive`, is this end.)

# %%
from collections.abc import Mapping

import pandas as pd
from IPython.display import display

from sslwork.measures.dilemma import Dilemma
from sslwork.packing import pack, unpack
from sslwork.plots.dilemma import traced
from sslwork.plots.hardness import hardness
from sslwork.widgets import TemperatureLab

similarities = torch.tensor(
    [0.8, 0.9, 0.1], dtype=torch.double, requires_grad=True
)  # positive, two negatives
for temperature in (0.1, 1.0):
    loss = torch.nn.functional.cross_entropy(similarities[None] / temperature, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(loss, similarities)
    by_gradient = (gradient[1:] / -gradient[0]).tolist()
    by_law = measures.relative_penalty(similarities.detach()[1:], temperature=temperature).tolist()
    print(
        f"τ = {temperature:g}: shares by gradient {by_gradient[0]:.5f} {by_gradient[1]:.5f}, "
        f"by the law {by_law[0]:.5f} {by_law[1]:.5f}; all forces add up to {float(gradient.sum()):.0e}"
    )
hardness(0.8, torch.linspace(-0.3, 0.9, 20))

# %% [markdown]
# One anchor with twenty negatives. *Left*: on a log scale the law is a straight line of slope $1/\tau$. At 0.05
# nearly all of the push is on the four nearest; at 1 it is almost even. *Middle*: the entropy of the push grows with
# the temperature, from 0 to $\log 20$. *Right*: $\tau L$ goes from one limit over to the other.
#
# ### The dilemma
#
# Is it good to push the nearest hardest? It spreads the pictures evenly: **uniformity**. But the nearest negatives
# are often pictures of the same class; to leave them near is **tolerance**. Cold gives the first, hot the second.
# Wang and Liu's way out is to say explicitly who is hard: keep only the share $\alpha$ of the nearest negatives of
# *each anchor*, drop the others, and use a hot loss on those.
#
# ### The experiment
#
# The same network, trained at six temperatures; at two of them also with the hardest 20 % alone. **Optimiser:
# AdamW**, which takes out the factor $1/\tau$ in the gradient. $-U$ is minus the uniformity of the test embeddings at
# $t = 2$ (higher is more even); then the mean similarity within *one class* (tolerance) and between *two classes*. The
# last two arms are a trap, for later.

# %%
shown = test[: min(250, len(test))]  # for the maps


# %%
def behaviour(seed, *, steps, temperatures, hard, lr, dim):
    def measured(method):
        end = Dilemma.of(embed(method, test, progress=False), test.labels)
        spread = {"-U": -end.uniformity, "one class": end.tolerance, "two classes": end.different}
        return spread | probing.accuracies(method.encoder, bank, test)

    def trained(temperature, alpha, *, optimiser="adamw", lr=lr, warm=0):
        method = methods.HardContrastive(encoder(seed), dim=dim, temperature=temperature, seed=seed)
        plan = {"batch_size": 128, "lr": lr, "optimiser": optimiser, "seed": seed, "progress": False}
        for method.alpha, some in ((1.0, warm), (alpha, steps - warm)):
            if some:
                train.fit(method, pictures, views=views, steps=some, **plan)
        rows = (shown.images, views(shown.images, torch.Generator().manual_seed(0)))
        packed = [pack(embed(method, images, progress=False)) if seed == 0 else "" for images in rows]
        return measured(method) | dict(zip(("rows", "again"), packed, strict=True))

    untrained = methods.HardContrastive(encoder(seed), dim=dim, seed=seed)
    arms = {
        "raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test),
        "untrained": measured(untrained),
    }
    arms |= {f"τ = {temperature:g}": trained(temperature, 1.0) for temperature in temperatures}
    arms |= {f"τ = {temperature:g}, hardest 20 %": trained(temperature, 0.2) for temperature in hard}
    plain = {"optimiser": "sgd", "lr": 0.03}
    arms["SGD, hardest 5 %"] = trained(0.3, 0.05, **plain)
    arms["SGD, hardest 5 % after a warm-up"] = trained(0.3, 0.05, warm=steps // 3, **plain)
    return arms


temperatures = size.pick(
    smoke=(0.1, 0.3, 1.0, 1.5), lab=(0.05, 0.1, 0.3, 0.7, 1.0, 1.5), gpu=(0.05, 0.1, 0.3, 0.7, 1.0, 1.5)
)
temperature_study = studies.run(
    "temperature",
    behaviour,
    seeds=size.seeds,
    temperatures=temperatures,
    hard=(0.3, 1.0),
    lr=0.003,
    dim=32,
    steps=size.pick(smoke=3, lab=400, gpu=20_000),
)
print(temperature_study)
temperature_study.table(2)

# %%
pixels = {"k-NN": {"raw pixels": temperature_study.mean("raw pixels", "k-NN")}}
adamw = [arm for arm in temperature_study.arms if arm.startswith("τ")]
plots.arms(temperature_study, "k-NN", "linear", "-U", "one class", only=adamw, lines=pixels)

# %% [markdown]
# Read each panel from cold (top) to hot. Evenness peaks near 0.1 and falls from there on. k-NN accuracy falls with it;
# the linear probe is best at 0.3. Meanwhile the similarity within a class rises, as far as $\tau = 1$: the dilemma.
# And the two rows at the bottom: with the hardest 20 % alone, 1.0 does what otherwise only a low temperature does. The
# coldest, 0.05, is less even than 0.1, against the rule. A likely reason: so few negatives of each anchor carry its
# gradient that 400 steps are not many.
#
# The same numbers as a curve, means over the seeds; the red dots are 0.1 and 1.


# %%
def of_study(arm):
    return Dilemma(
        -temperature_study.mean(arm, "-U"),
        temperature_study.mean(arm, "one class"),
        temperature_study.mean(arm, "two classes"),
    )


dilemmas = {temperature: of_study(f"τ = {temperature:g}") for temperature in temperatures}
traced(dilemmas, {0.1, 1.0}, 1.0, about=f"encoders after {temperature_study.settings['steps']} steps")

# %% [markdown]
# Tolerance alone is a poor guide: it also rises when *all* pictures draw together. Look at the gap between the two
# curves on the right, on which a classifier lives. It is widest where it is hot, and yet the accuracy is lowest
# there: means over pairs do not show how many pictures lie on the wrong side of a border.
#
# ### The temperature lab
#
# The test pictures again, and the encoders of the first seed.
#
# - *One anchor*: whom does it push, at which temperature? Lower **alpha**: dropped negatives turn grey. How much of the
#   push falls on the anchor's own class (*show*), more or less than its share among the negatives?
# - *The dilemma*: move the temperature, and trace the curve, for the trained encoders and for points on a sphere.
# - *Own temperatures*: if each picture chose its temperature (iSogCLR does), who would be hot?
# - *Sphere toy*: the push alone. Cold dissolves six clusters, hot keeps them.
# - *Trained encoders*: their maps, as the slider moves from one to the next.

# %%
record = temperature_study.results[0]
embedded = {temperature: unpack(record[f"τ = {temperature:g}"]["rows"]) for temperature in temperatures}
units = torch.nn.functional.normalize(embedded[0.3], dim=1)
pair_cosines = (units @ units.T).fill_diagonal_(-torch.inf)
temperature_lab = TemperatureLab(
    embedded[0.3],
    shown,
    unpack(record["τ = 0.3"]["again"]),
    temperature=0.1,
    anchor=3,
    encoders=embedded,
    individual=lambda rho: losses.temperature_for(pair_cosines, rho=rho),
)
temperature_lab

# %% [markdown]
# ### The claim
#
# Asked for before looking, of every seed: (1) evenness falls at each step from 0.1 to 1.5, by 0.5 or more in all; (2)
# k-NN accuracy at 0.1 and 0.3 is 8 points above that at 1.5; (3) at 1.0 the hardest 20 % give 8 points more than all
# negatives, and bring the evenness to within 0.2 of the best. The effect of a seed is the *least* of the three, in
# units of what was asked for; where the evenness rises in between, or is not brought back, it is 0.


# %%
def parts(arms: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    ordinary = [arms[f"τ = {temperature:g}"] for temperature in temperatures if temperature >= 0.1]
    even, knn = ([arm[measure] for arm in ordinary] for measure in ("-U", "k-NN"))
    warm, hard = arms["τ = 1"], arms["τ = 1, hardest 20 %"]
    return {
        "evenness, 0.1 less 1.5": even[0] - even[-1],
        "least fall on the way": min(a - b for a, b in pairwise(even)),
        "k-NN, 0.1 and 0.3 less 1.5": min(knn[:2]) - knn[-1],
        "k-NN, hardest less all": hard["k-NN"] - warm["k-NN"],
        "evenness, best less hardest": max(even) - hard["-U"],
    }


def share_of_asked(fall: float, least: float, cold: float, hard: float, behind: float) -> float:
    return min(
        fall / 0.5 if least > 0 else min(fall, 0.0), cold / 8, hard / 8 if behind <= 0.2 else min(hard, 0.0)
    )


found = {seed: parts(arms) for seed, arms in temperature_study.results.items()}
display(pd.DataFrame(found).rename_axis("seed", axis="columns").round(2))
claim = claims.record(
    system="112",
    paper="The temperature sets how hard near negatives are pushed: cold is even but intolerant, hot tolerant but uneven; choosing hard negatives lets a hot loss work.",
    measured=(
        "the least of three, as shares of what was asked for: fall of the evenness from temperature 0.1 to 1.5 (0.5), k-NN "
        "accuracy at 0.1 and 0.3 less that at 1.5 (8 points), hardest 20 % less all negatives at 1.0 (8 points). "
        f"MNIST digits, {temperature_study.settings['steps']} steps of 128, AdamW."
    ),
    effects=[share_of_asked(*each.values()) for each in found.values()],
    unit="of what was asked for",
    needed=1,
    seconds=temperature_study.seconds,
)
print(claim)

# %% [markdown]
# Every direction is the paper's, in every seed: the evenness falls at each step, in all by more than was asked for; the
# cold encoders are ahead of the hottest; and with the hardest 20 % alone a temperature of 1 is more even than *any*
# encoder with all negatives, and on average more accurate as well. The sizes are not what was asked for: about 3 to 7
# points of accuracy, and 8 were wanted, a number from a trial of twice this length. In 400 steps the hot encoders
# have not fallen as far behind. So: not seen at this scale, by the size of (2) and (3), not by their sign.
#
# ### A trap: the hardest alone, from scratch
#
# Now the hardest 5 % (7 of 127), with plain **SGD** (momentum 0.9, learning rate 0.03), temperature 0.3. All else is
# as before.

# %%
trap = [arm for arm in temperature_study.arms if arm.startswith("SGD")]
plots.arms(temperature_study, "k-NN", "-U", "one class", "two classes", only=["untrained", *trap])

# %% [markdown]
# From scratch all embeddings end in a heap: similarity within a class and between classes is nearly 1, and the
# evenness nearly 0. An untrained head puts all pictures close together, so the 7 nearest are nearest by chance,
# another 7 at each step, and nobody pushes the heap as a whole apart. With a third of the steps on the ordinary loss
# first, the heap is gone before the choice begins. (AdamW had no such trouble at 20 %: it scales up small gradients.)
#
# ### Exercise: the hard contrastive loss
#
# Anchors are the rows of `z1`; row $i$ of `z2` is the positive of anchor $i$, all other rows are its negatives. Keep,
# for *each* anchor, the $\lceil \alpha (N - 1) \rceil$ nearest of its negatives. The positive does not compete for a
# place.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "hard-contrastive", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_hard_contrastive(z1, z2, temperature, alpha):
    ### BEGIN SOLUTION
    u1, u2 = (torch.nn.functional.normalize(z, dim=1) for z in (z1, z2))
    similarity = u1 @ u2.T  # (N, N)
    negatives = similarity.clone().fill_diagonal_(-torch.inf)
    kept = -int(-alpha * (len(z1) - 1) // 1)  # rounded up
    hardest = negatives.topk(kept, dim=1).values
    logits = torch.cat([similarity.diagonal()[:, None], hardest], 1) / temperature
    return (logits.logsumexp(1) - logits[:, 0]).mean()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "hard-contrastive-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
a, b = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(1), dtype=torch.double)
same = torch.ones(9, 3, dtype=torch.double)
ones = float(my_hard_contrastive(same, same, 0.2, 0.5))
assert abs(ones - 1.60944) < 1e-4, (
    "all rows equal, 4 of 8 kept: log 5; is the positive left out of the choice?"
)
cosines = torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
ordinary = torch.nn.functional.cross_entropy(cosines / 0.3, torch.arange(9))
assert torch.isclose(my_hard_contrastive(a, b, 0.3, 1.0), ordinary), "alpha 1 is the ordinary loss"
for alpha in (0.1, 0.5):
    wanted = losses.hard_contrastive(a, b, temperature=0.3, alpha=alpha)
    assert torch.isclose(my_hard_contrastive(a, b, 0.3, alpha), wanted), (
        "are negatives chosen for each anchor?"
    )
print("Hard contrastive loss: right.")

# %% [markdown]
# ## Decoupled contrastive learning: why does NT-Xent stop pulling?
#
# Look at one anchor. Its gradient pulls on the positive and pushes the negatives. In NT-Xent the positive stands among
# those that are pushed, too: it is part of the sum under the logarithm. Divide it out, and one sees that *every*
# gradient of anchor $i$, pull and push alike, is multiplied by one number,
#
# $$q_i = 1 - P_i(\text{positive}) = 1 - \frac{\exp(s_i^+ / \tau)}{\exp(s_i^+ / \tau) + U_i}, \qquad
# U_i = \sum_{j \text{ negative}} \exp(s_{ij} / \tau).$$
#
# If the positive is found already, $q_i$ is near 0 and the anchor stops learning. With few negatives it is found
# easily, however little has been learnt. Yeh and others (2022) call this *negative-positive coupling*, and leave the
# positive out of the sum:
#
# $$\ell_i^\text{DCL} = -\frac{s_i^+}{\tau} + \log U_i, \qquad \ell_i^\text{NT-Xent} = \log\left(1 + \exp \ell_i^\text{DCL}\right), \qquad q_i = \sigma\left(\ell_i^\text{DCL}\right).$$
#
# The second equation is the whole theory: NT-Xent is the softplus of DCL, and the slope of the softplus is $q$.
# DCLW weighs the pull in addition, $w_i = 2 - \exp(s_i^+/\sigma) \,/\, \operatorname{mean}_j \exp(s_j^+/\sigma)$: harder
# where the positive is far.
#
# Let all negatives be equally similar to the anchor. Then $q = \sigma\left(\log(2N - 2) + (s^- - s^+) / \tau\right)$.
# Move the sliders. Where does NT-Xent stop pulling ($q < 0.1$, the red band)?

# %%
from sslwork.plots.style import Figure


def law(positive: float, negative: float, pictures: int, temperature: float) -> tuple[Figure, str]:
    pair = torch.tensor(positive), torch.tensor(negative)
    q = float(measures.coupling_of(*pair, pictures=pictures, temperature=temperature))
    said = f"q = {q:.2g}: NT-Xent pulls with {q / temperature:.2g}, DCL with {1 / temperature:.2g}."
    if q < 0.1:
        said += " NT-Xent takes the positive for found, and hardly learns from this anchor."
    return plots.coupling_law(positive, negative, pictures, temperature), said


Sliders(
    law,
    log=["pictures", "temperature"],
    positive=(-1.0, 1.0, 0.6),
    negative=(-1.0, 1.0, 0.1),
    pictures=(2, 512, 32),
    temperature=(0.02, 2.0, 0.1),
)

# %% [markdown]
# Left: each grey curve is a batch size. The curve is the same, moved to the right by $\tau \log(2N - 2)$: a larger
# batch lets the pull last longer. Right: DCL pulls harder the colder it gets. NT-Xent follows, until the positive
# stands out by $\tau \log(2N - 2)$; then its pull falls off a cliff. It takes an **easy positive**; the **smaller the
# batch** and the **lower the temperature**, the less easy it need be.
#
# ### The code
#
# The loss is two lines: the cosine of the positive over the temperature, and a log-sum-exp from which both views of
# the own picture are left out. The identity holds anchor by anchor, in value and gradient.

# %%
z1, z2 = torch.randn(2, 32, 16, generator=torch.Generator().manual_seed(0), dtype=torch.double)
z1, z2 = z1.requires_grad_(), (z1 + z2).detach()
decoupled, coupled = (loss(z1, z2, reduction="none") for loss in (losses.dcl, losses.nt_xent))
q = measures.coupling(z1, z2, temperature=0.1)
apart = (coupled - torch.nn.functional.softplus(decoupled)).detach().abs().max()
print(f"NT-Xent and softplus(DCL) differ by at most {apart:.0e}")
for i in (0, 1):
    ours, theirs = (torch.autograd.grad(each[i], z1, retain_graph=True)[0] for each in (decoupled, coupled))
    print(
        f"anchor {i}: q = {q[i]:.4f}, gradient of NT-Xent / gradient of DCL = {theirs.norm() / ours.norm():.4f}"
    )

# %% [markdown]
# ### The factor, in a network
#
# One network, trained for a moment with NT-Xent; test pictures, cut into batches of 8 to 512. Then batches of 32
# again, under views from none at all to one and a half times those of this notebook. Before looking we asked for a
# mean $q$ that rises with both.

# %%
temperature = 0.1
method = methods.SimCLR(encoder(0), temperature=temperature)
options = {"batch_size": 128, "lr": 0.03, "optimiser": "sgd", "progress": False}
train.fit(method, pictures, views=views, steps=size.pick(smoke=5, lab=100, gpu=1000), **options)


def found_in_batches(batch: int, strength: float) -> torch.Tensor:
    """q of every anchor, over test pictures in batches of this size."""
    pair = (views * strength).pair(test[:512].images, torch.Generator().manual_seed(0))
    batches = zip(*(embed(method, view).split(batch) for view in pair), strict=True)
    return torch.cat([measures.coupling(a, b, temperature=temperature) for a, b in batches])


batches = size.pick(smoke=(8, 32, 128), lab=(8, 32, 128, 512), gpu=(8, 32, 128, 512))
by_batch = {f"N = {n}": found_in_batches(n, 1.0) for n in batches}
by_views = {f"views × {strength:g}": found_in_batches(32, strength) for strength in (0, 0.5, 1, 1.5)}
for name, cases in {"batch": by_batch, "views": by_views}.items():
    means = [float(q.mean()) for q in cases.values()]
    rises = all(a < b for a, b in pairwise(means))
    print(f"mean q by {name}: {', '.join(f'{mean:.2f}' for mean in means)}; rises throughout: {rises}")
plots.couplings({"the batch grows": by_batch, "the views get stronger (N = 32)": by_views})

# %% [markdown]
# Each row is a histogram of $q$ over all anchors. In small batches and under weak views most of it lies in the left
# half: these anchors teach NT-Xent little. They are not evenly weak. In a batch of 8 some hard ones keep $q$ near 1:
# NT-Xent weighs anchors, and part of what DCL changes is that it stops doing so.
#
# ### Divide $q$ out again
#
# If $q$ is all that differs, NT-Xent with each anchor's loss divided by its own $q$ (held, without a gradient) must
# train exactly as DCL does: same seed, same batches, twenty steps of SGD. (Both losses in float64; in float32 they are
# rounded differently, and the runs part by about $10^{-5}$.)


# %%
class Undone(methods.SimCLR):
    """NT-Xent with q divided out."""

    def loss(self, *outputs):
        each = losses.nt_xent(*(z.double() for z in outputs), temperature=self.temperature, reduction="none")
        return (each / -torch.expm1(-each.detach())).mean()  # q = 1 - exp(-NT-Xent)


class Decoupled(methods.DCL):
    def loss(self, *outputs):
        return super().loss(*(z.double() for z in outputs))


def weights_after(kind, steps=20):
    method = kind(encoder(0), temperature=0.1)
    settings = {"batch_size": 32, "lr": 0.03, "optimiser": "sgd", "progress": False}
    train.fit(method, pictures, views=views, steps=steps, **settings)
    return torch.cat([weight.detach().flatten() for weight in method.parameters()])


target = weights_after(Decoupled)
for name, kind in {"NT-Xent with q divided out": Undone, "NT-Xent": methods.SimCLR}.items():
    print(
        f"{name}: weights differ from DCL's by at most {float((weights_after(kind) - target).abs().max()):.1g}"
    )

# %% [markdown]
# ### Does it help?
#
# NT-Xent, DCL and DCLW, in batches of 32 and of 256. Every arm sees as many pictures, so the small batch takes eight
# times as many steps. **Optimiser: SGD with momentum 0.9**, learning rate 0.03, temperature 0.1. That matters: Adam
# divides by the size of the gradient, and so gives back much of what $q$ takes away.


# %%
def decoupling(seed, *, seen, batches, lr):
    arms = {"raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test)}
    arms["untrained"] = probing.accuracies(encoder(seed), bank, test)
    for batch in batches:
        for name, kind, own in (
            ("NT-Xent", methods.SimCLR, {}),
            ("DCL", methods.DCL, {}),
            ("DCLW", methods.DCL, {"weighted": True}),
        ):
            method = kind(encoder(seed), temperature=0.1, seed=seed, **own)
            settings = {"lr": lr, "weight_decay": 5e-4, "optimiser": "sgd", "progress": False}
            train.fit(
                method, pictures, views=views, steps=seen // batch, batch_size=batch, seed=seed, **settings
            )
            first, second = views.pair(test[:batch].images, torch.Generator().manual_seed(0))
            q = measures.coupling(embed(method, first), embed(method, second), temperature=0.1)
            arms[f"{name}, batch {batch}"] = probing.accuracies(method.encoder, bank, test) | {
                "mean q": float(q.mean())
            }
    return arms


sizes = size.pick(smoke=(8, 32), lab=(32, 256), gpu=(32, 512))
decoupling_study = studies.run(
    "decoupling",
    decoupling,
    seeds=size.seeds,
    batches=sizes,
    lr=0.03,
    seen=size.pick(smoke=64, lab=32_000, gpu=2_000_000),
)
print(decoupling_study)
decoupling_study.table()

# %%
pixels = {
    measure: {"raw pixels": decoupling_study.mean("raw pixels", measure)} for measure in ("k-NN", "linear")
}
plots.arms(
    decoupling_study,
    "k-NN",
    "linear",
    only=[arm for arm in decoupling_study.arms if arm != "raw pixels"],
    lines=pixels,
)

# %% [markdown]
# Each dot is a seed, each stroke a mean; compare within a batch size. *mean q* in the table is read from the trained
# network in a batch of the size it was trained with. Asked for before looking: DCL above NT-Xent by a point of k-NN
# accuracy at the small batch, in every seed, and by less at the large batch.

# %%
small, large = sizes
gain = {
    (arm, batch): decoupling_study.difference(f"{arm}, batch {batch}", f"NT-Xent, batch {batch}", "k-NN")
    for arm in ("DCL", "DCLW")
    for batch in sizes
}
for (arm, batch), effects in gain.items():
    print(
        f"{arm} less NT-Xent at batch {batch}: {', '.join(f'{effect:+.1f}' for effect in effects)} points of k-NN accuracy"
    )
mean_small, mean_large = (sum(gain["DCL", batch]) / len(gain["DCL", batch]) for batch in sizes)
print(f"DCL gains less at batch {large} than at {small}: {mean_large < mean_small}")
claim = claims.record(
    system="106",
    paper="DCL: without the positive in the denominator, contrastive learning needs no large batch; the gain is largest at small ones.",
    measured=(
        f"k-NN accuracy on new throws of MNIST digits, DCL less NT-Xent, batch {small}, SGD with momentum 0.9, lr 0.03, "
        f"temperature 0.1, {decoupling_study.settings['seen']:,} pictures seen. Mean gain at batch {large}: {mean_large:+.1f}."
    ),
    effects=gain["DCL", small],
    unit="points of k-NN accuracy",
    needed=1,
    seconds=decoupling_study.seconds,
)
print(claim)

# %% [markdown]
# In our run the verdict is **not seen at this scale**: the mean gain at batch 32 stays below the point we asked for, and
# the seeds do not agree on its sign. Why? The theory above is exact, so the question is how small $q$ is. Look at *mean
# q* in the table. A trained network in a batch of 32 still has about half of its gradient, in a batch of 256 nearly all
# of it. Dropping $q$ then does about what twice the learning rate would do. The paper speaks of networks that train far
# longer and solve nearly every batch; ours do not come that far. Two more things to take from the table:
# DCLW, whose weights favour far positives, is below NT-Xent at batch 256 in every seed; and by k-NN no arm of so short
# a training beats the raw pixels, while by the linear probe all of them do, by far.
#
# ### Exercise: write DCL
#
# Write the loss from the formula. Negatives of an anchor are *all* views of *other* pictures, $2N - 2$ of them, those of
# its own side too; both directions are averaged. Leave out what must be left out by `-inf`, not by a small number: at
# temperature 0.01 a mask of $\log 10^{-45} = -103$ lets the positive leak back in.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "dcl", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_dcl(z1, z2, temperature):
    ### BEGIN SOLUTION
    u = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    similarity = u @ u.T / temperature  # (2N, 2N)
    n = len(z1)
    picture = torch.arange(n).repeat(2)
    negatives = similarity.masked_fill(picture[:, None] == picture, -torch.inf)
    positives = similarity[torch.arange(2 * n), torch.arange(2 * n).roll(n)]
    return (negatives.logsumexp(1) - positives).mean()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "dcl-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
eye = torch.eye(2, dtype=torch.double)
assert abs(my_dcl(eye, eye, 1.0) + 0.30685) < 1e-5, (
    "two orthogonal pictures: -1 + log 2; are there two negatives each?"
)
opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.double)
cold = float(my_dcl(opposite, opposite, 0.01))
assert abs(cold + 200 - 0.69315) < 1e-3, (
    "two opposite pictures at 0.01: -200 + log 2; does the positive leak into the sum?"
)
a, b = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.double)
assert torch.isclose(my_dcl(3 * a, b, 0.2), my_dcl(a, b, 0.2)), "the length of a row must not matter"
assert torch.isclose(my_dcl(a, b, 0.2), losses.dcl(a, b, temperature=0.2)), "the value is not DCL's"
print("Exercise: right.")

# %% [markdown]
# ## iSogCLR: should every picture have its own temperature?
#
# One temperature for all treats a *one*, of which there are thousands, as it treats the rare digit with few
# look-alikes. Qiu and others (2023) let each anchor choose. Let $h_{ij} = s_{ij} - s_i^+$ say by how much negative $j$
# comes closer than the positive. The push shares its force among the negatives by weights $p$. Take the *worst* $p$,
# but keep it near the uniform one; how near is measured by the divergence $\mathrm{KL} = \sum_j p_j \log (p_j M)$ over
# the $M$ negatives, 0 for even weights and $\log M$ where one takes all:
#
# $$F_i = \max_{p:\ \mathrm{KL}(p\,\|\,\text{uniform}) \le \rho} \sum_j p_j h_{ij}
# \;=\; \min_{\tau_i > 0}\ \tau_i \log \operatorname{mean}_j \exp(h_{ij} / \tau_i) + \tau_i\, \rho .$$
#
# The right-hand side is the dual: the temperature is the *price* of the bound. Nobody chooses it any more; it follows
# from $\rho$, and its gradient is plain:
#
# $$\frac{\partial F_i}{\partial \tau_i} = \rho - \mathrm{KL}(p_i\,\|\,\text{uniform}), \qquad p_i = \operatorname{softmax}_j(s_{ij} / \tau_i).$$
#
# The temperature rises while the push is more unequal than allowed, falls while it is less, and rests where
# $\mathrm{KL} = \rho$. A picture with many look-alikes should end up hot (be gentle with them, they are probably of its
# kind), a rare one cold. Is that so?
#
# ### On features that stand still, one can solve for it
#
# Ten classes on a sphere, from 2,000 points down to 40: a long tail. For each anchor, bisection finds the temperature at
# which $\mathrm{KL} = \rho$. Move $\rho$; pick the class and the point looked at; shrink the largest class and see its
# temperatures move.

# %%
from functools import cache

from scipy.stats import spearmanr

from sslwork.toys.caps import caps, tail_sizes, to_negatives

ends = size.pick(smoke=(200, 10), lab=(2000, 40), gpu=(2000, 40))


def anchors_of(labels, count):
    """The first rows of each class."""
    return torch.cat([(labels == k).nonzero().flatten()[:count] for k in labels.unique()])


@cache
def cloud(largest):
    points, labels = caps([largest, *tail_sizes(*ends)[1:]])
    anchors = anchors_of(labels, 10)
    return points, labels, anchors, to_negatives(points, anchors)


def solved(rho, class_number, point, largest):
    points, labels, anchors, similarities = cloud(largest)
    tau = losses.temperature_for(similarities, rho=rho)
    sizes = labels.bincount()[labels[anchors]]
    chosen, own = 10 * class_number + point, labels[anchors] == class_number
    said = (
        f"rho {rho:.2f}: rank correlation of class size and temperature {spearmanr(sizes, tau).statistic:+.2f}. Class "
        f"{class_number} holds {100 * float((labels == class_number).float().mean()):.1f} % of the points; its mean "
        f"temperature is {float(tau[own].mean()):.2f}, and that of the point looked at (ringed) {float(tau[chosen]):.2f}."
    )
    return plots.solved_caps(points, labels, anchors, tau, similarities, chosen), said


Sliders(
    solved,
    log=["largest"],
    rho=(0.05, 1.6, 0.1),
    class_number=(0, 9, 0),
    point=(0, 9, 0),
    largest=(ends[1], ends[0], ends[0]),
)

# %% [markdown]
# Left: the brightest anchors sit in the dense regions. Middle: grey is where the negatives of the ringed anchor are,
# red where its push goes; the two differ by $\rho$, unless the temperature stands at its highest, 1. Right:
# temperature against the size of the class. Now move $\rho$ to its right end and look again: the order has turned
# round.
#
# The reason is arithmetic. If the push falls evenly on a class which holds a share $c$ of the negatives, and nowhere
# else, its KL is $\log(1/c)$. A class with a third of all points cannot stand out by more than
# $\log 3 \approx 1.1$ as a whole. Beyond that $\rho$, its anchors must pick single neighbours *inside* their own class,
# which takes a low temperature; a class of 40 still has room. So "frequent is hot" holds for small $\rho$, and the
# opposite for large. The paper does not dwell on it.


# %%
def tail_of_caps(seed, *, largest, smallest, per_class, rhos):
    points, labels = caps(tail_sizes(largest, smallest), seed=seed)
    anchors = anchors_of(labels, per_class)
    similarities, sizes = to_negatives(points, anchors), labels.bincount()[labels[anchors]]
    found = {}
    for rho in rhos:
        tau = losses.temperature_for(similarities, rho=rho)
        found[f"rho {rho}"] = {"rank correlation": spearmanr(sizes, tau).statistic, "mean tau": tau.mean()}
    return found


rhos = (0.1, 0.2, 0.4, 0.8, 1.2, 1.6)
on_caps = studies.run(
    "tail-of-caps", tail_of_caps, seeds=size.seeds, largest=ends[0], smallest=ends[1], per_class=20, rhos=rhos
)
print(on_caps)
least, most = on_caps.values("rho 0.1", "rank correlation"), on_caps.values("rho 1.6", "rank correlation")
print(
    f"at least +0.3 at rho 0.1 in every seed: {min(least) >= 0.3}; below 0 at rho 1.6 in every seed: {max(most) < 0}"
)
plots.arms(on_caps, "rank correlation", lines={"rank correlation": {"no relation": 0}})

# %% [markdown]
# Each dot is a draw of the ten centres, each stroke their mean, over twenty anchors of every class. Small $\rho$: the
# larger the class, the hotter. The relation fades as $\rho$ grows, and turns round a little above $\log 3$, for every
# draw.
#
# ### The algorithm
#
# Training cannot bisect: it sees a batch at a time. iSogCLR keeps three numbers per picture, in
# `method.objective`: a running mean $m_i$ of $\operatorname{mean}_j \exp(s_{ij}/\tau_i)$, so that small batches do; the
# temperature; and the momentum of its descent. A step, for the pictures of the batch:
#
# 1. $g = \operatorname{mean}_j \exp(s_{ij}/\tau_i)$ for both views, with the temperature as it was;
# 2. $m_i \leftarrow (1 - \gamma)\,m_i + \gamma g$ (at the first visit $m_i = g$);
# 3. the weights $p_{ij} = \exp(s_{ij}/\tau_i) / m_i$ push, held: the loss is $\operatorname{mean}_j p_{ij} s_{ij} - s_i^+$;
# 4. $\tau_i$ goes down the slope $\log m_i + \rho - \operatorname{mean}_j p_{ij} s_{ij} / \tau_i$, and stays within its bounds.
#
# Without step 4 it is **SogCLR**. The state belongs to the *picture*, so a method must know which pictures a batch
# holds: `batch.rows`. (Index it by the place in the batch, and nothing fails; it only learns nonsense.)
#
# ### On a long tail of digits
#
# MNIST digits, thrown about, 2,000 of one class down to 40 of another; which class is the large one is drawn anew for
# each seed. A short run first, to look at single pictures. Stay in the tab *own temperatures*, and move $\rho$.

# %%
pool = data.load("affine-digits", count=size.pick(smoke=800, lab=24_000, gpu=60_000), **throw)
tail_ends = size.pick(smoke=(40, 5), lab=(2000, 40), gpu=(4000, 80))
tail = data.long_tail(pool, largest=tail_ends[0], smallest=tail_ends[1])
short = methods.ISogCLR(encoder(0), rho=0.2, rate=0.05)
train.fit(
    short, tail, views=views, steps=size.pick(smoke=5, lab=100, gpu=1000), batch_size=128, progress=False
)

some = tail[torch.randperm(len(tail), generator=torch.Generator().manual_seed(0))[:500]]
features = embed(short, some)
among = to_negatives(torch.nn.functional.normalize(features, dim=1), torch.arange(len(some)))
again = embed(short, views(some.images, torch.Generator().manual_seed(0)))
lab = TemperatureLab(
    features,
    some,
    again,
    individual=lambda rho: losses.temperature_for(among, rho=rho),
    temperature=0.4,
    toy=False,
)
lab.tab, lab.rho = "individual", 0.2
lab

# %% [markdown]
# The two rows are the pictures for which $\rho$ asks the lowest and the highest temperature; below them one histogram
# per digit, with its count. In our run the 1 is the hottest on average, rare as it is here: its pictures all look
# alike. So the *shape* of a class counts beside its size, and a fair test needs a control: the **same algorithm on
# classes of equal size**, with the temperatures of the same digits.
#
# **Optimiser: AdamW**, learning rate 0.003, batch 128, $\rho = 0.2$; the temperatures start at 0.1 and descend at a rate
# of 0.05. Four arms on the long tail: NT-Xent and SogCLR (both at 0.1), iSogCLR; iSogCLR on equal classes. And two in
# batches of 32, where the running mean of SogCLR should help. The probes learn from balanced labels.


# %%
def long_tailed(seed, *, steps, largest, smallest, rho, rate):
    tail = data.long_tail(pool, largest=largest, smallest=smallest, seed=seed)
    sizes = tail.labels.bincount()
    order = sizes.argsort(descending=True)
    equal = data.per_class(pool, len(tail) // 10, seed)
    robust = {"pictures": len(tail), "rho": rho, "rate": rate, "seed": seed}

    def sogclr():
        return methods.ISogCLR(encoder(seed), individual=False, **robust)

    def trained(method, data_set, batch=128):
        train.fit(method, data_set, views=views, steps=steps, batch_size=batch, seed=seed, progress=False)
        return probing.accuracies(method.encoder, bank, test)

    def by_class(values, labels):
        return torch.stack([values[labels == c].mean() for c in range(10)])

    def head_over_tail(classes):
        """In %, of the mean temperatures of the three largest and the three smallest classes of the long tail."""
        return 100 * (classes[order[:3]].mean() / classes[order[-3:]].mean() - 1)

    def temperatures(method, data_set):
        learnt = by_class(method.objective.temperatures[: len(data_set)], data_set.labels)
        rows = anchors_of(data_set.labels, 40)
        units = torch.nn.functional.normalize(embed(method, data_set), dim=1)
        exact = by_class(losses.temperature_for(to_negatives(units, rows), rho=rho), data_set.labels[rows])
        return {
            "head over tail, %": head_over_tail(learnt),
            "the same, solved, %": head_over_tail(exact),
            "learnt": learnt,
            "solved": exact,
            "sizes": sizes,
        }

    arms = {
        "raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test),
        "untrained": probing.accuracies(encoder(seed), bank, test),
        "NT-Xent": trained(methods.SimCLR(encoder(seed), temperature=0.1, seed=seed), tail),
        "SogCLR": trained(sogclr(), tail),
    }
    for name, data_set in {"iSogCLR": tail, "iSogCLR, equal classes": equal}.items():
        method = methods.ISogCLR(encoder(seed), **robust)
        arms[name] = trained(method, data_set) | temperatures(method, data_set)
    arms["NT-Xent, batch 32"] = trained(methods.SimCLR(encoder(seed), temperature=0.1, seed=seed), tail, 32)
    arms["SogCLR, batch 32"] = trained(sogclr(), tail, 32)
    return arms


tail_study = studies.run(
    "individual-temperatures",
    long_tailed,
    seeds=size.seeds,
    steps=size.pick(smoke=4, lab=800, gpu=8000),
    largest=tail_ends[0],
    smallest=tail_ends[1],
    rho=0.2,
    rate=0.05,
)
print(tail_study)
tail_study.table()


# %%
def classes(arm, kind):
    return list(zip(tail_study.values(arm, "sizes"), tail_study.values(arm, kind), strict=True))


plots.by_size(
    {
        "learnt on the long tail": classes("iSogCLR", "learnt"),
        "solved for on its features": classes("iSogCLR", "solved"),
        "control: trained on equal classes": classes("iSogCLR, equal classes", "learnt"),
    }
)

# %% [markdown]
# Each number is a digit, each colour a seed. Left and middle rise to the right, a little. The right panel puts the
# digits where the long tail *would* have them, but all classes had equally many pictures: whatever stands out there is
# shape, not size. Look for the 1, the plainest digit. With equal classes it is by far the hottest, in every seed. On the
# long tail it is so only where it is the largest class; where it is rare, it has cooled down among the others.
#
# Asked for before looking: on the long tail, the learnt temperatures of the three largest classes are at least 3 % above
# those of the three smallest, in every seed.

# %%
measure = "head over tail, %"
learnt, control = tail_study.values("iSogCLR", measure), tail_study.values("iSogCLR, equal classes", measure)
for name, effects in {
    "learnt": learnt,
    "solved for on the same features": tail_study.values("iSogCLR", "the same, solved, %"),
    "learnt on equal classes (control)": control,
    "learnt, less the control": tail_study.difference("iSogCLR", "iSogCLR, equal classes", measure),
}.items():
    print(f"largest three over smallest three, {name}: {', '.join(f'{effect:+.1f}' for effect in effects)} %")
for arm, other in (("iSogCLR", "SogCLR"), ("SogCLR", "NT-Xent"), ("SogCLR, batch 32", "NT-Xent, batch 32")):
    for probe in ("k-NN", "linear"):
        gains = ", ".join(f"{gain:+.1f}" for gain in tail_study.difference(arm, other, probe))
        print(f"{arm} less {other.split(',')[0]}, {probe}: {gains} points")
claim = claims.record(
    system="087",
    paper="iSogCLR: temperatures learnt per picture are larger for frequent semantics than for rare ones.",
    measured=(
        f"Learnt temperatures on thrown MNIST digits, {tail_ends[0]:,} down to {tail_ends[1]} per class: mean of the three "
        f"largest classes over that of the three smallest, less one. AdamW, batch 128, {tail_study.settings['steps']} steps, rho "
        f"0.2. On equal classes (control): {', '.join(f'{value:+.1f}' for value in control)} %."
    ),
    effects=learnt,
    unit="% of temperature",
    needed=3,
    seconds=tail_study.seconds,
)
print(claim)

# %% [markdown]
# In our run the verdict is **not seen at this scale**: the large classes are hotter in every seed, but not in every
# seed by the 3 % asked for. Two reasons show in the numbers. The temperatures are still on their way: solved for on
# the same features, with the same $\rho$, the difference is about twice as large. And the shape of the digits is
# louder than the tail: on equal classes, where size can play no part, the same ratio scatters about zero more widely
# than the effect is large, so taking the control off does not settle the sign either. (Ten classes are few; the paper
# has a hundred and more.) As to accuracy, by k-NN no method differs from another by more than the seeds do. By
# the linear probe iSogCLR is above SogCLR in every seed, once by little; but its temperatures end around 0.45, and
# those of SogCLR stay at 0.1, so that the level alone may do it. And the running mean shows: in batches of 32 SogCLR is
# above NT-Xent in every seed, in batches of 128 it is not. Neither was asked for before looking.
#
# ### Exercise: the slope of a temperature
#
# Return $\partial F_i / \partial \tau_i = \rho - \mathrm{KL}(p\,\|\,\text{uniform})$ for one anchor, given its
# similarities to $M$ negatives. Then think: in which direction does the temperature of an anchor go whose negatives are
# all equally near?


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "temperature-slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slope(similarities, temperature, rho):
    ### BEGIN SOLUTION
    p = torch.softmax(similarities / temperature, dim=0)
    return rho - (p * torch.log(p * len(p))).sum()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "temperature-slope-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
even = torch.full((50,), 0.3, dtype=torch.double)
assert abs(slope(even, 0.2, 0.4) - 0.4) < 1e-9, (
    "equal negatives: KL is 0, so the slope is rho and the temperature falls"
)
drawn = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.double)
tau = torch.tensor(0.2, dtype=torch.double, requires_grad=True)
(by_autograd,) = torch.autograd.grad(tau * (drawn / tau).exp().mean().log() + tau * 0.4, tau)
assert abs(slope(drawn, 0.2, 0.4) - by_autograd) < 1e-9, "not the derivative of the dual"
rest = losses.temperature_for(drawn[None], rho=0.4)[0]
assert abs(slope(drawn, rest, 0.4)) < 1e-6, "at rest KL = rho"
print("Exercise: right.")

# %% [markdown]
# ## CACR: should the farthest positive be pulled hardest?
#
# NT-Xent has *one* softmax, over the positive and all negatives together. With several positives it treats each on its
# own: none of them knows that another view of the same picture is still far away. Zheng and others (2023) use *two*
# softmaxes. Positives are compared among positives, negatives among negatives; the far positive is pulled hardest, the
# near negative pushed hardest. With $d(a, b) = \lVert a - b \rVert^2 = 2 - 2\,a \cdot b$ for rows of length one,
#
# $$A = \sum_u w^+_u\, d^+_u,\quad w^+ = \operatorname{softmax}_u(+\tau_+ d^+_u), \qquad
# R = \sum_j w^-_j\, d^-_j,\quad w^- = \operatorname{softmax}_j(-\tau_- d^-_j), \qquad L = \alpha A - \beta R .$$
#
# Two expected costs, each under its own law. The name says it: *contrastive attraction and contrastive repulsion*. The
# repulsion is an old friend: $\exp(-\tau_- d)$ is $\exp(s / T)$ times a constant, with $T = 1 / (2\tau_-)$, so $w^-$ is
# the share of the push that NT-Xent gives at that temperature. What is gone is the coupling with the positive.
#
# The weights have a gradient, too. It changes the force on a point by a factor:
#
# $$\frac{\partial A}{\partial d^+_u} = w^+_u \left(1 + \tau_+ (d^+_u - A)\right), \qquad
# \frac{\partial R}{\partial d^-_j} = w^-_j \left(1 - \tau_- (d^-_j - R)\right).$$
#
# **The factor can be negative.** A positive nearer than $A - 1/\tau_+$ is pushed *away*, a negative farther than
# $R + 1/\tau_-$ is pulled *in*. Both happen in the picture below. Lower `tau_pos` and `tau_neg`: when does it stop? Then
# raise them again and tick *detach weights*, which holds the weights as numbers: no sign can change any more.

# %%
from sslwork.plots.arrows import Scene, arrows
from sslwork.widgets.arrows import forces


def expected(d, sharpness, detach=False):
    """The mean of d under softmax(sharpness d)."""
    share = torch.softmax(sharpness * (d.detach() if detach else d), dim=-1)
    return (share * d).sum(-1)


def slopes(d, sharpness):
    """Its derivative by each d."""
    share = torch.softmax(sharpness * d, dim=-1)
    return share * (1 + sharpness * (d - (share * d).sum(-1, keepdim=True)))


def on_circle(degrees):
    radians = torch.as_tensor(degrees, dtype=torch.double).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], 1)


around = torch.arange(12) * 30 + 18 * torch.rand(12, generator=torch.Generator().manual_seed(0))
near_and_far, others = on_circle([70, 100, 125, 200]), on_circle(around)


def one_query(anchor, temperature, tau_pos, tau_neg, detach_weights):
    scene = Scene(on_circle([anchor]), near_and_far, others)

    def attraction(a, positives, negatives):
        return expected(2 - 2 * a @ positives.T, tau_pos, detach_weights)

    def repulsion(a, positives, negatives):
        return -expected(2 - 2 * a @ negatives.T, -tau_neg, detach_weights)

    def cacr(*points):
        return attraction(*points) + repulsion(*points)

    def nt_xent(a, positives, negatives):
        pull, push = a @ positives.T / temperature, (a @ negatives.T / temperature).logsumexp(1)
        return (torch.logaddexp(pull, push[:, None]) - pull).mean(1)

    sides = {"NT-Xent": nt_xent, "attraction": attraction, "repulsion": repulsion, "CACR": cacr}
    found = {name: forces(loss, scene) for name, loss in sides.items()}
    pulls, pushes = (2 - 2 * (scene.anchor @ part.T)[0] for part in scene[1:])
    flipped = [
        0 if detach_weights else int((slopes(d, sharpness) < 0).sum())
        for d, sharpness in ((pulls, tau_pos), (pushes, -tau_neg))
    ]
    shares = torch.softmax(tau_pos * pulls, 0).max(), torch.softmax(-tau_neg * pushes, 0).max()
    said = (
        f"The farthest positive has {100 * shares[0]:.0f} % of the weight, the nearest negative {100 * shares[1]:.0f} %. "
        f"Wrong way round: {flipped[0]} of 4 positives pushed away, {flipped[1]} of 12 negatives pulled in."
    )
    return arrows(scene, found), said


Sliders(
    one_query,
    log=["temperature"],
    anchor=(0, 360, 80),
    temperature=(0.02, 2.0, 0.25),
    tau_pos=(0.0, 5.0, 1.0),
    tau_neg=(0.0, 5.0, 2.0),
    detach_weights=False,
)

# %% [markdown]
# Blue is the anchor, green its positives, orange its negatives; each arrow is the way gradient descent moves a point
# along the circle. NT-Xent (left) pushes the nearest negatives, and pulls each positive by how badly *that one* loses
# against them. CACR's attraction (second circle) acts on the green point farthest away, whatever the negatives do. What
# goes the wrong way round goes slowly: these points are the ones with little weight.
#
# ### The code, and what uniform weights cannot see
#
# `losses.cacr` takes any number of views. Each view in turn is the query for its own other views; for negatives, each
# pair of views is compared once. Three facts hold exactly. With two views the attraction is the alignment loss. The
# slope of $R$ in $\tau_-$ is minus the variance of $d$ under $w^-$. And with $\tau_- = 0$, all weights equal,
#
# $$R_0 = 2 - 2\, \bar z_1 \cdot \bar z_2 \quad\text{(but for terms of order } 1/N\text{)}:$$
#
# uniform repulsion only sees the two *means*. Once they are zero it is content. Two clumps at opposite ends of the
# sphere satisfy it; the nearest negative, at distance zero, does not.

# %%
draw = torch.Generator().manual_seed(0)
z1, z2 = torch.randn(2, 64, 16, generator=draw, dtype=torch.double)
attraction = float(losses.cacr([z1, z2], tau_pos=1, tau_neg=2, beta=0))
print(f"attraction of two views {attraction:.6f}, alignment {measures.alignment(z1, z2):.6f}")

one, axis = torch.eye(16, dtype=torch.double)[:2]
shapes = {
    "one clump": one.expand(64, 16),
    "two opposite clumps": one * torch.tensor([1.0, -1.0], dtype=torch.double).repeat(32)[:, None],
    "spread over the sphere": torch.nn.functional.normalize(z1, dim=1),
}
(
    pd.DataFrame(
        {
            f"R at tau_neg {tau:g}": {
                name: -float(losses.cacr([z, z], tau_pos=0, tau_neg=tau, alpha=0))
                for name, z in shapes.items()
            }
            for tau in (0, 0.5, 2, 5)
        }
    ).round(2)
    + 0.0
)  # no minus before a zero

# %% [markdown]
# A larger $R$ is a lower loss. At $\tau_- = 0$ the two clumps score as well as 64 points spread over 16 dimensions. The
# larger $\tau_-$, the less the clumps are worth.
#
# ### Do the weights matter?
#
# The same network and steps, two views; only $\tau_-$ changes. At 0 the repulsion is uniform: the control. (With two
# views there is one positive, so $\tau_+$ plays no part.) **Optimiser: AdamW**, learning rate 0.002, batch 128. NT-Xent
# at temperature 0.2 stands beside it. Asked for before looking: $\tau_- = 2$ at least 10 points of k-NN accuracy above
# uniform weights, in every seed.


# %%
def weights_of_negatives(seed, *, steps, lr, sharpness):
    arms = {
        "raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test),
        "untrained": probing.accuracies(encoder(seed), bank, test),
    }
    trained = {"NT-Xent": methods.SimCLR(encoder(seed), temperature=0.2, seed=seed)} | {
        f"CACR, tau_neg {tau:g}": methods.CACR(encoder(seed), tau_neg=tau, seed=seed) for tau in sharpness
    }
    for name, method in trained.items():
        settings = {"batch_size": 128, "lr": lr, "seed": seed, "progress": False}
        train.fit(method, pictures, views=views, steps=steps, **settings)
        found = {"uniformity": measures.uniformity(embed(method, test, progress=False))}
        arms[name] = probing.accuracies(method.encoder, bank, test) | found
    return arms


cacr_study = studies.run(
    "cacr-weights",
    weights_of_negatives,
    seeds=size.seeds,
    steps=size.pick(smoke=3, lab=400, gpu=8000),
    lr=0.002,
    sharpness=(0, 0.5, 1, 2, 5),
)
print(cacr_study)
cacr_study.table()

# %%
pixels = {measure: {"pixels": cacr_study.mean("raw pixels", measure)} for measure in ("k-NN", "linear")}
plots.arms(cacr_study, "k-NN", "linear", "uniformity", only=cacr_study.arms[1:], lines=pixels)

# %% [markdown]
# Uniform weights are the worst, in both probes. *Uniformity* says why (lower is more evenly spread): moving two means
# apart leaves heaps behind. But look at $\tau_- = 5$: it heaps up again. Because the nearest negatives take all the push?
# Or because of the factor which can be negative: does it pull in every negative farther than $R + 1/5$? There is a test.
# Hold the weights, and the push is as narrow as before, but no negative is pulled in any more.


# %%
def weights_held(seed, *, steps, lr, sharpness):
    arms = {}
    for tau in sharpness:
        method = methods.CACR(encoder(seed), tau_neg=tau, detach_weights=True, seed=seed)
        settings = {"batch_size": 128, "lr": lr, "seed": seed, "progress": False}
        train.fit(method, pictures, views=views, steps=steps, **settings)
        found = {"uniformity": measures.uniformity(embed(method, test, progress=False))}
        arms[f"CACR, tau_neg {tau:g}"] = probing.accuracies(method.encoder, bank, test) | found
    return arms


held = studies.run(
    "cacr-weights-held",
    weights_held,
    seeds=size.seeds,
    steps=size.pick(smoke=3, lab=400, gpu=8000),
    lr=0.002,
    sharpness=(2, 5),
)
print(held)
for arm in held.arms:
    for measure in ("uniformity", "k-NN"):
        free, fixed = (
            ", ".join(f"{value:.1f}" for value in each.values(arm, measure)) for each in (cacr_study, held)
        )
        print(f"{arm}, {measure}: {free}; with the weights held {fixed}")

# %% [markdown]
# It was the factor. With the weights held, $\tau_- = 5$ spreads as evenly as the others, and its k-NN accuracy rises.
# At $\tau_- = 2$ the same factor does good. "Push the near ones harder" is only half of what the gradient of $R$ does.
#
# ### On a long tail
#
# The paper's second claim: CACR suffers less from unbalanced data. From 1,500 pictures of one digit down to 30 of
# another, against equally many pictures in equal classes; the probes learn from balanced labels in both cases. CACR gets
# four views, so that both softmaxes have something to weigh. All arms see equally many *views*, so NT-Xent takes twice
# the steps. We hoped for a drop of CACR no larger than that of NT-Xent. On the way we look at the entropy of $w^+$ and
# $w^-$ on 128 test pictures, as a share of its largest value.


# %%
def long_tail(seed, *, seen, largest, smallest, lr):
    tail = data.long_tail(pictures, largest=largest, smallest=smallest, seed=seed)
    equal = data.per_class(pictures, len(tail) // 10, seed)
    draw = torch.Generator().manual_seed(seed)
    fixed = [views(test[:128].images, draw) for _ in range(4)]  # to look at the weights
    log3, log127 = torch.tensor([3.0, len(fixed[0]) - 1.0]).log()

    def entropies(method):
        z = torch.stack(
            [torch.nn.functional.normalize(embed(method, view, progress=False), dim=1) for view in fixed]
        )  # (4, N, D)
        among, across = (z[1:] * z[0]).sum(-1).T, z[0] @ z[1].T  # (N, 3) and (N, N)
        across = across[~torch.eye(len(across), dtype=torch.bool)].view(len(across), -1)
        positive = measures.relative_penalty_entropy(-among, temperature=1 / (2 * 1.0))
        negative = measures.relative_penalty_entropy(across, temperature=1 / (2 * 2.0))
        return float(positive.mean() / log3), float(negative.mean() / log127)

    arms = {}
    for name, kind, own in (
        ("NT-Xent", methods.SimCLR, {}),
        ("uniform", methods.CACR, {"n_views": 4, "tau_pos": 0.0, "tau_neg": 0.0}),
        ("CACR", methods.CACR, {"n_views": 4, "tau_pos": 1.0, "tau_neg": 2.0}),
    ):
        for kept, some in {"equal": equal, "long tail": tail}.items():
            method, looks = kind(encoder(seed), seed=seed, **own), []
            steps = seen // (128 * method.n_views)
            shown = {1, *range(0, steps + 1, max(1, steps // 10))}

            def look(run, method=method, looks=looks, shown=shown):
                if run.step in shown:
                    looks.append((run.step, *entropies(method)))

            settings = {"batch_size": 128, "lr": lr, "seed": seed, "progress": False}
            train.fit(method, some, views=views, steps=steps, show=look, **settings)
            at, positive, negative = map(list, zip(*looks, strict=True))
            seen_on_the_way = {"step": at, "entropy of w+": positive, "entropy of w-": negative}
            arms[f"{name}, {kept}"] = probing.accuracies(method.encoder, bank, test) | seen_on_the_way
    return arms


on_tail = studies.run(
    "cacr-long-tail",
    long_tail,
    seeds=size.seeds,
    seen=size.pick(smoke=512, lab=102_400, gpu=4_000_000),
    largest=size.pick(smoke=40, lab=1500, gpu=4000),
    smallest=size.pick(smoke=4, lab=30, gpu=80),
    lr=0.002,
)
print(on_tail)
on_tail.table()

# %%
plots.arms(on_tail, "k-NN", "linear")

# %%
equal_classes = [arm for arm in on_tail.arms if arm.endswith("equal")]
courses(on_tail, "entropy of w+", "entropy of w-", over="step", only=equal_classes, label="step")

# %% [markdown]
# Entropy 1 means equal weights. They start equal, as all distances do in an untrained network; then $w^-$ picks its
# negatives, as the paper reports, while $w^+$ stays near uniform: the four views soon lie so close together that
# $\tau_+ = 1$ cannot tell them apart. NT-Xent and uniform weights show what CACR's weights *would* be on their features.


# %%
def drops(name):
    """In % of the accuracy after equal classes, seed by seed."""
    pairs = zip(
        on_tail.values(f"{name}, equal", "k-NN"), on_tail.values(f"{name}, long tail", "k-NN"), strict=True
    )
    return [100 * (equal - tail) / equal for equal, tail in pairs]


for name in ("NT-Xent", "uniform", "CACR"):
    print(
        f"{name}: loses {', '.join(f'{drop:+.1f}' for drop in drops(name))} % of its k-NN accuracy on the long tail"
    )
kept = [ours <= theirs for ours, theirs in zip(drops("CACR"), drops("NT-Xent"), strict=True)]
print(f"CACR loses no more than NT-Xent in {sum(kept)} of {len(kept)} seeds")
full, uniform = "CACR, tau_neg 2", "CACR, tau_neg 0"
for arm, other in ((full, uniform), (full, "NT-Xent")):
    gains = ", ".join(f"{gain:+.1f}" for gain in cacr_study.difference(arm, other, "k-NN"))
    print(f"{arm} less {other}: {gains} points of k-NN accuracy")
claim = claims.record(
    system="104",
    paper="CACR: to push near negatives harder than far ones, by weights of their own, learns better than to push all alike.",
    measured=(
        f"k-NN accuracy on new throws of MNIST digits, two views, tau_neg 2 less tau_neg 0 (uniform weights). AdamW, lr "
        f"0.002, batch 128, {cacr_study.settings['steps']} steps."
    ),
    effects=cacr_study.difference(full, uniform, "k-NN"),
    unit="points of k-NN accuracy",
    needed=10,
    seconds=cacr_study.seconds,
)
print(claim)

# %% [markdown]
# **Holds**, in our run by 12 to 13 points in each seed, with AdamW. At $\tau_- = 2$ CACR is even a point above NT-Xent
# in every seed by k-NN, though not by the linear probe. Its $w^-$ is the law of NT-Xent at temperature $1/4$, so these
# two are neighbours: what the claim says is that one must *have* such weights.
#
# **The long tail decides nothing.** CACR loses a few per cent of its accuracy, NT-Xent too, and the seeds disagree on who
# loses less; a point is one standard error of 2,000 test pictures. Nor do CACR's four views in half the steps beat
# NT-Xent's two: $w^+$ stayed nearly uniform, so among the positives there was little to weigh. Uniform weights are worse
# than both by k-NN, on either set, in every seed.
#
# A caution: by k-NN the raw pixels still beat every arm of so short a training; by the
# linear probe they lose, on average by 20 to 33 points.
#
# ### Exercise: write the attraction
#
# For any number of views: each view in turn is the query, its positives are the *other* views of the same picture; the
# far ones get the weight. Mind three things: the sign in the softmax, the query itself, which is no positive of its own,
# and the mean: the weights sum to one already.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "attraction", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_attraction(views, tau_pos):
    ### BEGIN SOLUTION
    z = torch.nn.functional.normalize(torch.stack(views, 1), dim=-1)  # (N, V, D)
    d = 2 - 2 * z @ z.mT  # (N, V, V)
    own = torch.eye(len(views), dtype=torch.bool)
    share = (tau_pos * d).masked_fill(own, -torch.inf).softmax(-1)
    return (share * d).sum(-1).mean()
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "attraction-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
drawn = list(torch.randn(4, 8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.double))
axes = list(torch.eye(6, dtype=torch.double).split(2))
assert abs(my_attraction(axes, 3.0) - 2) < 1e-9, (
    "three orthogonal views: all at squared distance 2, and so is their mean; is the query among its positives?"
)
assert abs(my_attraction(drawn[:2], 1.0) - measures.alignment(*drawn[:2])) < 1e-9, (
    "two views: it is the alignment"
)
assert my_attraction(drawn, 2.0) > my_attraction(drawn, 0.0), (
    "the far positive gets the weight, not the near one"
)
expected_value = losses.cacr(drawn, tau_pos=2.0, tau_neg=0.0, beta=0.0)
assert torch.isclose(my_attraction(drawn, 2.0), expected_value), "the value is not that of the formula"
print("Exercise: right.")

# %% [markdown]
# ## GroCo: is it enough to stand in the right order?
#
# A softmax is never content: the positive could always be nearer, the negatives farther. Whoever looks for neighbours
# asks for less: the other views of a picture must come *before* the pictures most like it; how far before, and in which
# order among themselves, is all the same. So Shvetsova and others (2023) *sort*. For an anchor take the $k$ most similar
# other pictures and the $V - 1$ other views, $n = k + V - 1$ similarities in all. Sort them, and ask that every positive
# ends in the upper group, every negative in the lower.
#
# Sorting has no gradient, but an **odd-even network** made soft has one. It is a row of comparators, each on two
# neighbouring wires $a$ and $b$. It finds them in order with the probability
#
# $$p = \tfrac12 + \tfrac1\pi \arctan\left(\beta\,(b - a)\right), \qquad
# a \leftarrow p\,a + (1-p)\,b, \quad b \leftarrow (1-p)\,a + p\,b .$$
#
# Follow where each input goes, and you have a matrix $P$: $P_{ir}$ is the probability that input $i$ ends at rank $r$,
# rows and columns summing to one. The loss is the cross-entropy of ending on the own side:
#
# $$L = -\frac1n \left(\sum_{i\ \text{negative}} \log \sum_{r < k} P_{ir} \;+\; \sum_{i\ \text{positive}} \log \sum_{r \ge k} P_{ir}\right).$$
#
# Five negatives and three positives; `positive 1` has fallen below `negative 4` and `negative 5`. Pull it up until all
# are in order, and watch which wires react. Then move the steepness $\beta$ from soft to hard.


# %%
def ordering(negatives, positives, steepness):
    """GroCo of each anchor, from its similarities (..., k) and (..., V - 1)."""
    x, k = torch.cat([negatives.sort().values, positives.sort().values], -1), negatives.shape[-1]
    P = losses.sort_relaxed(x, steepness=steepness)[1]  # (..., n, n)
    right = torch.cat([P[..., :k, :k].sum(-1), P[..., k:, k:].sum(-1)], -1)  # each on its own side
    return -right.clamp(1e-7, 1 - 1e-7).log().mean(-1)


def sorted_softly(steepness, **similarities):
    values = torch.tensor(list(similarities.values()), dtype=torch.double)
    x = torch.cat([values[:5].sort().values, values[5:].sort().values]).requires_grad_()
    loss = ordering(x[:5], x[5:], steepness)
    (slope,) = torch.autograd.grad(loss, x)
    wrong = int((values[5:] < values[:5, None]).sum())
    said = (
        f"Loss {float(loss.detach()):.3f}; {wrong} of 15 pairs in the wrong order. "
        f"Of the total slope {100 * float(slope[4:6].abs().sum() / slope.abs().sum()):.0f} % acts on the two at the border."
    )
    return plots.sorting_network(x.detach(), 5, steepness=steepness, slopes=slope), said


start = [-0.2, 0.0, 0.1, 0.3, 0.4, 0.6, 0.8, 0.9]
names = [f"negative_{i}" for i in range(1, 6)] + [f"positive_{i}" for i in range(1, 4)]
board = Sliders(
    sorted_softly,
    log=["steepness"],
    steepness=(0.5, 200.0, 10.0),
    **{name: (-1.0, 1.0, value) for name, value in zip(names, start, strict=True)},
)
board.set(positive_1=0.2)
board

# %% [markdown]
# Left, a comparator keeps its wires with opacity $p$ and swaps them with opacity $1 - p$; green is what comes from the
# positives. In the middle, a loss of zero would need all mass of $P$ in the lower left and the upper right block.
# Right, where the loss moves each similarity: negatives down, positives up, and hardest the pairs that are out of
# order. That holds while the network is soft. At a steepness of 200 a slope or two point the wrong way: each
# comparator then hardly looks beyond its own two wires. (Each group is sorted before it enters, so the order of the
# sliders within a group does not matter.)
#
# ### One pair, in closed form
#
# With one negative $s^-$ and one positive $s^+$ there is a single comparator, and
# $L = -\log\left(\tfrac12 + \tfrac1\pi \arctan \beta (s^+ - s^-)\right)$. NT-Xent's counterpart is
# $\log\left(1 + \exp((s^- - s^+) / \tau)\right)$. How hard does each still pull when the positive is ahead by a margin?

# %%
import math

margin = torch.tensor([-0.5, 0.0, 0.1, 0.3, 1.0, 2.0], dtype=torch.double, requires_grad=True)
zero = torch.zeros(1, dtype=torch.double)
curves = {
    f"GroCo, steepness {b:g}": ordering(torch.zeros_like(margin)[:, None], margin[:, None], b)
    for b in (1, 5, 20)
} | {f"NT-Xent, {t:g}": torch.nn.functional.softplus(-margin / t) for t in (0.5, 0.2)}
print(f"both equal: {float(ordering(zero, zero, 1.0)):.5f}, log 2 = {math.log(2):.5f}")
print(f"as far apart as can be: {float(ordering(-zero - 1, zero + 1, 1.0)):.5f} at steepness 1, never zero")
pulls = {name: -torch.autograd.grad(curve.sum(), margin)[0] for name, curve in curves.items()}
pd.DataFrame(pulls, index=[f"margin {m:g}" for m in margin.tolist()]).T.round(4)

# %% [markdown]
# Read a row from left to right. NT-Xent lets go exponentially. The arctangent has long tails, so GroCo lets go by a
# power of the margin: at steepness 1 it hardly tells right from wrong, at 20 it acts on what is near the border, and
# still holds a little at a margin of one. Cosines cannot be farther apart than 2, so at steepness 1 one comparator never
# says more than "85 %".
#
# ### Whom does it push?
#
# All other negatives feel nothing. A network trained for a moment with NT-Xent, test pictures in batches of 128: which
# share of the push goes to the nearest negatives of an anchor? Asked for before looking: more on the nearest five under
# GroCo with $k = 10$ than under NT-Xent at temperature 0.5.

# %%
method = methods.SimCLR(encoder(0))
options = {"batch_size": 128, "lr": 0.002, "progress": False}
train.fit(method, pictures, views=views, steps=size.pick(smoke=5, lab=60, gpu=1000), **options)
pair = views.pair(test[:128].images, torch.Generator().manual_seed(0))
unit, other = (torch.nn.functional.normalize(embed(method, view), dim=1) for view in pair)
own = unit @ unit.T
ranked = (
    own.fill_diagonal_(-torch.inf).sort(descending=True).values[:, :-1].double()
)  # (N, N - 1), nearest first
positive = (unit * other).sum(1).double()


def groco_shares(top_k, steepness):
    """Of the slopes in the negatives, nearest first: (N, top_k)."""
    near = ranked[:, :top_k].clone().requires_grad_()
    push = torch.autograd.grad(ordering(near, positive[:, None], steepness).sum(), near)[0].abs()
    return push / push.sum(1, keepdim=True)


pushes = {f"NT-Xent, {t:g}": measures.relative_penalty(ranked, temperature=t) for t in (0.5, 0.2, 0.1)} | {
    f"GroCo, steepness {b:g}, k = 10": groco_shares(10, b) for b in (1, 5, 20)
}
of_five = {name: float(share[:, :5].sum(1).mean()) for name, share in pushes.items()}
print(f"GroCo above NT-Xent at 0.5: {of_five['GroCo, steepness 1, k = 10'] > of_five['NT-Xent, 0.5']}")
nearest = (1, 5, 10, 127)
pd.DataFrame(
    {
        f"nearest {m}, %": {name: 100 * float(share[:, :m].sum(1).mean()) for name, share in pushes.items()}
        for m in nearest
    }
).round(1)

# %% [markdown]
# Most of what GroCo spares comes from the *choice* of $k$ negatives, not from the sorting: the others are left out. Among
# the chosen, a soft network blurs who is first; a steep one acts on the nearest. And a cold NT-Xent chooses, too. That
# calls for a control.
#
# ### Does it help?
#
# GroCo with $k = 5$ at three steepnesses, two views, against NT-Xent at 0.2 and against a control that shares all but
# the sorting: NT-Xent with the 5 nearest negatives alone, where only the anchor moves. **Optimiser: AdamW**, learning
# rate 0.002, batch 128. Beside the probes we count *violations*: test pictures whose other view is less similar than
# another picture of the batch.


# %%
class Nearest(methods.SimCLR):
    """NT-Xent with the k nearest negatives of the other view; positives and negatives are held."""

    top_k = 5

    def loss(self, *outputs):
        z1, z2 = outputs
        options = {"temperature": self.temperature, "alpha": self.top_k / (len(z1) - 1)}
        pairs = (z1, z2.detach()), (z2, z1.detach())
        return sum(losses.hard_contrastive(*pair, **options) for pair in pairs) / 2


def violations(method, seed):
    """In %, in batches of 128."""
    draw = torch.Generator().manual_seed(seed)
    pair = [
        torch.nn.functional.normalize(embed(method, views(test.images, draw), progress=False), dim=1)
        for _ in "12"
    ]
    found = [
        (a * b).sum(1) < (a @ a.T).fill_diagonal_(-torch.inf).amax(1)
        for a, b in zip(*(rows.split(128) for rows in pair), strict=True)
    ]
    return 100 * float(torch.cat(found).float().mean())


def order(seed, *, steps, lr, top_k, steepnesses):
    arms = {
        "raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test),
        "untrained": probing.accuracies(encoder(seed), bank, test),
    }
    nearest = Nearest(encoder(seed), temperature=0.2, seed=seed)
    nearest.top_k = top_k
    trained = {
        "NT-Xent": methods.SimCLR(encoder(seed), temperature=0.2, seed=seed),
        f"NT-Xent, nearest {top_k}, held": nearest,
    } | {
        f"GroCo, steepness {b:g}": methods.GroCo(encoder(seed), top_k=top_k, steepness=b, seed=seed)
        for b in steepnesses
    }
    for name, method in trained.items():
        before = violations(method, seed)
        settings = {"batch_size": 128, "lr": lr, "seed": seed, "progress": False}
        train.fit(method, pictures, views=views, steps=steps, **settings)
        found = probing.accuracies(method.encoder, bank, test)
        arms[name] = found | {
            "k-NN less linear": found["k-NN"] - found["linear"],
            "violations before, %": before,
            "violations, %": violations(method, seed),
        }
    return arms


order_study = studies.run(
    "group-order",
    order,
    seeds=size.seeds,
    steps=size.pick(smoke=3, lab=400, gpu=8000),
    lr=0.002,
    top_k=5,
    steepnesses=(1, 5, 20),
)
print(order_study)
order_study.table()

# %%
trained = [arm for arm in order_study.arms if arm not in ("raw pixels", "untrained")]
pixels = {measure: {"pixels": order_study.mean("raw pixels", measure)} for measure in ("k-NN", "linear")}
plots.arms(order_study, "k-NN", "linear", "violations, %", only=trained, lines=pixels)

# %% [markdown]
# Each dot is a seed, each stroke a mean. Asked for before looking: violations fall by at least 30 % of what they were
# before training; and, the paper's direction, GroCo's k-NN accuracy stands better against its own linear probe than that
# of NT-Xent does, in every seed. The steepness of the claim is the paper's, 1.

# %%
ours = "GroCo, steepness 1"
for arm in trained:
    pairs = zip(
        order_study.values(arm, "violations before, %"), order_study.values(arm, "violations, %"), strict=True
    )
    fall = [100 * (1 - after / before) for before, after in pairs]
    print(
        f"{arm}: violations fell by {', '.join(f'{each:.0f}' for each in fall)} %; 30 % in every seed: {min(fall) >= 30}"
    )
for measure in ("k-NN", "linear"):
    for arm in trained[2:]:
        gains = ", ".join(f"{gain:+.1f}" for gain in order_study.difference(arm, "NT-Xent", measure))
        print(f"{arm} less NT-Xent, {measure}: {gains} points")
held = ", ".join(f"{gain:+.1f}" for gain in order_study.difference(ours, trained[1], "k-NN"))
print(f"{ours} less the control without sorting, k-NN: {held} points")
alone = {
    measure: ", ".join(f"{gain:+.1f}" for gain in order_study.difference(ours, "NT-Xent", measure))
    for measure in ("k-NN", "linear")
}
gaps = {arm: order_study.mean(arm, "k-NN") - order_study.mean(arm, "linear") for arm in order_study.arms}
print(f"k-NN less linear: {', '.join(f'{arm} {gap:+.1f}' for arm, gap in gaps.items())}")
claim = claims.record(
    system="088",
    paper="GroCo: ordering groups favours the neighbourhood; k-NN stands better against a linear probe than with a softmax.",
    measured=(
        f"k-NN accuracy less linear probe, GroCo (k = 5, steepness 1) less NT-Xent (0.2), new throws of MNIST digits. AdamW, "
        f"lr 0.002, batch 128, {order_study.settings['steps']} steps. Each by itself: k-NN {alone['k-NN']}, linear {alone['linear']}."
    ),
    effects=order_study.difference(ours, "NT-Xent", "k-NN less linear"),
    unit="points of k-NN less linear accuracy",
    needed=0,
    seconds=order_study.seconds,
)
print(claim)

# %% [markdown]
# The words of the claim hold: GroCo's k-NN accuracy stands above its own linear probe, NT-Xent's below. **Do not be
# taken in.** In our run GroCo is lower in *both* probes, about five points in k-NN and nine in linear, and it leaves
# more violations, though these are what it counts. The gap is larger because the linear probe fell further; the raw
# pixels and the untrained network have a still larger gap, and the control, which sorts nothing, has one as large. The
# better neighbourhoods that the paper reports do not show here.
#
# Why? The control tells. It loses about as much, and all that it shares with GroCo is $k$ negatives and an anchor that
# moves alone: 122 of 127 negatives push nobody. That is little to learn from, in few steps, from scratch. Against this
# control the sorting does help, at steepness 1, in every seed. And the softest network is the best of the three: in the
# table above it spread its push over the ten nearest, where a steep one acts on the nearest alone. The paper trains a
# ResNet-50 in batches of 1,024 for 100 epochs and more.
#
# ### Exercise: write the network
#
# Return the softly sorted values of one list. There are as many layers as numbers; even layers compare wires (0, 1),
# (2, 3), ..., odd layers (1, 2), (3, 4), ...; each comparator works on what the layer before it left.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "odd-even", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sort_softly(x, steepness):
    """A list of numbers, ascending."""
    x = list(x)
    ### BEGIN SOLUTION
    for layer in range(len(x)):
        for i in range(layer % 2, len(x) - 1, 2):
            p = 0.5 + math.atan(steepness * (x[i + 1] - x[i])) / math.pi
            x[i], x[i + 1] = p * x[i] + (1 - p) * x[i + 1], (1 - p) * x[i] + p * x[i + 1]
    ### END SOLUTION
    return x


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "odd-even-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
shuffled = [0.7, -0.3, 0.9, 0.1, -0.8]
assert [round(v, 4) for v in sort_softly([2.0, 1.0], 1.0)] == [1.25, 1.75], "one comparator: p is 1/4"
assert all(abs(a - b) < 1e-5 for a, b in zip(sort_softly(shuffled, 1e8), sorted(shuffled), strict=True)), (
    "steep comparators sort exactly; are there as many layers as numbers?"
)
values = losses.sort_relaxed(torch.tensor(shuffled, dtype=torch.double), steepness=3.0)[0]
assert all(abs(a - b) < 1e-9 for a, b in zip(sort_softly(shuffled, 3.0), values.tolist(), strict=True)), (
    "does a comparator use the old value of its left wire for both new ones?"
)
print("Exercise: right.")

# %% [markdown]
# ## MoCHi: what if there are no hard negatives left?
#
# The further the training, the more of the push goes to a few negatives, and most of the queue becomes dead weight. A
# larger queue helps little: it holds more of the same. Kalantidis and others (2020) *make* hard negatives instead, in
# the space of embeddings, where a mixture costs next to nothing. For each query $q$ take the $N_h$ rows of the queue
# that are most similar to it. Then
#
# - **first kind**: mix two different ones, $h = \mathrm{unit}(\alpha\, n_a + (1 - \alpha)\, n_b)$ with $\alpha \sim
#   U(0, 1)$;
# - **second kind**: mix one with the query, $h' = \mathrm{unit}(\beta\, q + (1 - \beta)\, n)$ with $\beta \sim U(0,
#   \tfrac12)$.
#
# All of them are held, without a gradient, and put beside the queue in the denominator:
#
# $$L = \operatorname{mean}_i \Big[ -\frac{q_i \cdot k_i}{\tau} + \log \Big( e^{q_i \cdot k_i / \tau} + \sum_{j} e^{q_i \cdot Q_j / \tau}
# + \sum_{s} e^{q_i \cdot h_{is} / \tau} \Big) \Big].$$
#
# They are mixed anew in each step and never stored, and mixing begins only when the queue holds keys of a network
# that has learnt something.
#
# Move the query, the number of hard ones, and how many are mixed of each kind. When do the synthetic points swallow
# the key?

# %%
from sslwork.plots.synthetic import synthetic

circle = torch.tensor([20, 48, 130, 155, 190, 215, 240, 275, 310, 340], dtype=torch.double)  # degrees
KEY = 105


def at_angles(degrees):
    return torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], 1)


def mix(query, hard, first_kind, second_kind, temperature):
    q, key = at_angles(torch.tensor([[float(query)], [float(KEY)]], dtype=torch.double)[:, 0]).split(1)
    rows, draw = at_angles(circle), torch.Generator().manual_seed(0)
    made = losses.mochi_negatives(
        q, rows, n_hard=hard, n_mixed=first_kind, n_query_mixed=second_kind, generator=draw
    )[0]
    kinds = dict(zip(("first kind", "second kind"), made.split([first_kind, second_kind]), strict=True))
    logits = torch.cat([key, rows, made]) @ q[0] / temperature
    share = logits.softmax(0).split([1, len(rows), len(made)])
    harder = int((logits[11:].max() > logits[1:11].max()) if len(made) else 0)
    said = (
        f"The key takes {100 * share[0].sum():.0f} % of the softmax, the queue {100 * share[1].sum():.0f} %, mixtures "
        f"{100 * share[2].sum():.0f} %. {'A mixture' if harder else 'No mixture'} is harder than all of the queue."
    )
    return synthetic(q, key, rows, kinds, temperature=temperature, n_hard=hard), said


Sliders(
    mix,
    log=["temperature"],
    query=(0, 360, 90),
    hard=(2, 10, 4),
    first_kind=(0, 30, 8),
    second_kind=(0, 30, 4),
    temperature=(0.05, 2.0, 0.2),
)

# %% [markdown]
# A mixture of two negatives on *both* sides of the query can fall upon it: harder than both its parents, and harder
# than the key. On a circle that is common; in 64 dimensions two negatives seldom lie on opposite sides. A mixture
# with the query is never easier than its parent, but stays on the parent's half.
#
# Both exactly: query at 0°, negatives at 60° and -60°, halves give similarity 1; query at 0°, negative at 90°, halves
# give $\cos 45°$. And a copy of every negative adds $\log 2$ to the log-sum-exp over the negatives.

# %%
query, sides, across = (
    at_angles(torch.tensor(degrees, dtype=torch.double)) for degrees in ([0], [60, -60], [90])
)
print(
    f"first kind:  {float(normalize(sides.mean(0), dim=0) @ query[0]):.5f}, parents {float(sides[0] @ query[0]):.5f}"
)
print(
    f"second kind: {float(normalize((query + across)[0], dim=0) @ query[0]):.5f}, parent {float(across[0] @ query[0]):.5f}"
)
rows = at_angles(circle)


def over_negatives(synthetic):  # from the loss: log(exp(loss) - 1) is that sum, less the positive
    return float(losses.mochi(query, query, rows, synthetic[None], temperature=0.2).expm1().log())


print(f"copies of all negatives add {over_negatives(rows) - over_negatives(rows[:0]):.5f}")

# %% [markdown]
# ### The experiment
#
# MoCo with a queue of 1,024, and four mixtures of the 64 hardest, which begin after 30 % of the steps: MoCHi (32 of
# the first kind, 8 of the second), each kind alone, and far too many of the second. **Optimiser: AdamW**, learning
# rate 0.003, temperature 0.2, momentum 0.99. While they train, 500 new pictures are queries and look for their keys
# among keys of labelled pictures:
#
# - *first*: in how many of 100 cases is the key more similar than the whole queue? *first, mixtures too*: than MoCHi's
#   mixtures as well (for every arm the same 32 + 8, whatever it was trained with).
# - *top 64 of*: what share of the push goes to the 64 hardest of so many?
# - *own class*: how many of the 64 hardest show the query's class, and are no true negatives?


# %%
def mixing(seed, *, steps, mixtures, queue, n_hard, pools, marks, lr, dim):
    def watched(method):
        """How hard its task is, on new pictures, against pools of keys of the labelled ones."""
        first, second = views.pair(test[:500].images, torch.Generator().manual_seed(0))
        third = views(bank.images, torch.Generator().manual_seed(1))
        sides = ((method, first), (method.twin, second), (method.twin, third))
        queries, keys, others = (normalize(embed(net, each, progress=False), dim=1) for net, each in sides)
        own, real = (queries * keys).sum(1), queries @ others.T
        made = losses.mochi_negatives(
            queries, others[:queue], n_hard=n_hard, n_mixed=32, n_query_mixed=8, generator=torch.Generator().manual_seed(2)
        )  # fmt: skip
        nearest, synthetic = real[:, :queue].amax(1), torch.einsum("nd,nsd->ns", queries, made).amax(1)
        hardest = real[:, :queue].topk(n_hard).indices
        same = bank.labels[hardest] == test[:500].labels[:, None]
        found = {
            "first": 100 * (own > nearest).float().mean(),
            "first, mixtures too": 100 * (own > nearest.maximum(synthetic)).float().mean(),
            "own class, %": 100 * same.float().mean(),
        }
        for pool in pools:
            share = measures.relative_penalty(real[:, :pool], temperature=method.temperature)
            found[f"top {n_hard} of {pool}, %"] = 100 * share.topk(n_hard).values.sum(1).mean()
        return {name: float(value) for name, value in found.items()}

    def trained(n_mixed, n_query_mixed):
        method = methods.MoCHi(
            encoder(seed), dim=dim, queue=queue, n_hard=n_hard, n_mixed=n_mixed, n_query_mixed=n_query_mixed, seed=seed
        )  # fmt: skip
        seen = []

        def look(run):
            if run.step in marks:
                seen.append(watched(method))

        train.fit(method, pictures, views=views, steps=steps, batch_size=128, lr=lr, seed=seed, show=look)
        spread = {"-U": -measures.uniformity(embed(method, test, progress=False))}
        courses = {f"{name} at": [each[name] for each in seen] for name in seen[0]}
        return probing.accuracies(method.encoder, bank, test) | spread | seen[-1] | courses

    arms = {"raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test)}
    arms["untrained"] = probing.accuracies(encoder(seed), bank, test)
    return arms | {name: trained(*counts) | {"step": marks} for name, counts in mixtures.items()}


queue = size.pick(smoke=256, lab=1024, gpu=16_384)
mixtures = {
    "MoCo": (0, 0),
    "MoCHi": (32, 8),
    "first kind alone": (40, 0),
    "second kind alone": (0, 40),
    "256 of the second kind": (0, 256),
}
mixing_study = studies.run(
    "hard-negative-mixing",
    mixing,
    seeds=size.seeds,
    mixtures=mixtures,
    queue=queue,
    n_hard=64,
    pools=(queue, len(bank)),
    lr=0.003,
    dim=64,
    steps=size.pick(smoke=2, lab=500, gpu=20_000),
    marks=size.pick(
        smoke=(1, 2), lab=(10, 100, 200, 300, 400, 500), gpu=(100, 5_000, 10_000, 15_000, 20_000)
    ),
)
print(mixing_study)
mixing_study.table(2)

# %%
top, larger = (f"top 64 of {pool}, % at" for pool in (queue, len(bank)))
figure = courses(
    mixing_study, top, larger, "own class, % at", over="step", only=["MoCo", "MoCHi"], label="step"
)
for panel in figure.axes:
    panel.title.set_text(panel.get_title().removesuffix(" at"))
figure

# %% [markdown]
# The motivation, seen: at first the 64 hardest have about their equal share of the push, 6 % of a queue of 1,024;
# after a few hundred steps they have nearly half of it, and most of that by step 100. (Of the larger pool 64 are a
# smaller part, and have a smaller share.) And the price: the better the network, the more of these hardest are of the
# query's own class, four in ten in the end, where one in ten would be chance. **Hard negatives are the ones most
# likely to be no negatives**, and mixtures of them inherit that. (The oracle of the paper, which leaves them out with
# the help of labels, is its upper bound.)

# %%
plots.arms(mixing_study, "first", "-U", "k-NN", "linear", only=list(mixtures))

# %% [markdown]
# Which kind does what? The **first kind** makes the embeddings more even, alone as well as together with a few of the
# second. The **second kind** makes them *less* even, and 256 of it, more than there are hard negatives, clearly so;
# that costs linear accuracy, too. (k-NN accuracy hardly moves in any arm. On raw pixels it is higher than all of
# these, see the table: 500 steps are few.)

# %% [markdown]
# ### The claim
#
# Asked for before looking, of every seed: MoCHi's own task is harder than MoCo's, by 3 points of *first* (MoCo
# against its queue, MoCHi against queue and mixtures), *and* its embeddings are more even, by 0.03 of $-U$. The
# effect of a seed is the lesser of the two, in units of what was asked for; it is 0 where MoCHi loses more than a
# point of k-NN accuracy. The paper claims gains in transfer; that is not asked for here.

# %%
harder = [
    own - mixed
    for own, mixed in zip(
        mixing_study.values("MoCo", "first"), mixing_study.values("MoCHi", "first, mixtures too"), strict=True
    )
]
even, knn = (mixing_study.difference("MoCHi", "MoCo", measure) for measure in ("-U", "k-NN"))
for what, values in {
    "own task harder by, points": harder,
    "the same queue, without mixtures, harder by": [
        -gain for gain in mixing_study.difference("MoCHi", "MoCo", "first")
    ],
    "the same queue and mixtures, harder by": [
        -gain for gain in mixing_study.difference("MoCHi", "MoCo", "first, mixtures too")
    ],
    "more even by": even,
    "k-NN points gained": knn,
    "linear points gained": mixing_study.difference("MoCHi", "MoCo", "linear"),
}.items():
    print(f"{what}: {', '.join(f'{value:+.3f}' for value in values)}")
claim = claims.record(
    system="100",
    paper="MoCHi: mixing each query's hardest negatives makes the task harder and the embeddings more uniform.",
    measured=(
        "the lesser of two, as shares of what was asked for: own task harder (3 points of keys ranked first) and embeddings "
        f"more even (0.03), MoCHi (64, 32, 8) less MoCo. MNIST digits, queue {queue:,}, {mixing_study.settings['steps']} steps of 128, "
        "AdamW."
    ),
    effects=[
        min(points / 3, gain / 0.03) if change >= -1 else 0.0
        for points, gain, change in zip(harder, even, knn, strict=True)
    ],
    unit="of what was asked for",
    needed=1,
    seconds=mixing_study.seconds,
)
print(claim)

# %% [markdown]
# MoCHi's own task is harder by far more than was asked for. The embeddings are more even in every seed, by about 0.03
# on average; but two of the three seeds stay a little below the 0.03 that was asked for, and every seed decides: not
# seen at this scale, by little. No gain in accuracy is seen either, as expected: the differences have no one sign.
#
# Mind *what* is harder. The task is, because mixtures are counted in. Against the same queue without them (second
# line) MoCHi's network finds the key more often than MoCo's, and against the same queue *and* mixtures (third line)
# about as often. Harder training has not made a network for which the task is hard. A drop in the accuracy of the
# proxy task says little unless one also says which negatives were counted.
#
# ### Exercise: mix for each query its own
#
# Write the mixing itself. `shares` (N, S) and `pairs` (N, S, 2), places 0 to `n_hard` - 1 in the order of hardness,
# are drawn already: row $i$ of the result holds $\mathrm{unit}(\alpha\, n_a + (1 - \alpha)\, n_b)$ of the hardest of
# query $i$. A public port of MoCHi flattens the (N, n_hard, D) rows and then indexes with 0 to n_hard - 1: every
# query gets mixtures of query 0's negatives. The second check would have caught it.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "mochi", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_mixtures(query, queue, n_hard, pairs, shares):
    ### BEGIN SOLUTION
    q, rows = (torch.nn.functional.normalize(z, dim=1) for z in (query, queue))
    hardest = rows[(q @ rows.T).topk(n_hard, dim=1).indices]  # (N, n_hard, D)
    each = torch.arange(len(q))[:, None]
    one, other = hardest[each, pairs[..., 0]], hardest[each, pairs[..., 1]]  # (N, S, D)
    mixed = shares[..., None] * one + (1 - shares[..., None]) * other
    return torch.nn.functional.normalize(mixed, dim=-1)
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "mochi-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
half = torch.full((1, 1), 0.5, dtype=torch.double)
both = torch.tensor([[[0, 1]]])
made = my_mixtures(query, torch.cat([sides, -query]), 2, both, half)
assert made.shape == (1, 1, 2) and torch.allclose(made[0], query), (
    "60° and -60°, halves: upon the query, at length one"
)
two, far = (
    torch.eye(2, dtype=torch.double),
    torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0], [-0.1, 1.0]]).double(),
)
made = my_mixtures(two, far, 2, both.expand(2, 1, 2), half.expand(2, 1))
assert torch.allclose(made[:, 0], two), "each query must mix the hardest of its own"
made = my_mixtures(two, 3 * far, 2, both.expand(2, 1, 2), torch.ones(2, 1).double())
assert torch.allclose(made.norm(dim=-1), torch.ones(2, 1).double()), "the length of a row must not matter"
print("Mixtures: right.")

# %% [markdown]
# ## Where next?
#
# - Notebook 02: methods without negatives, and what the head does. Notebook 04: all methods on equal terms.
# - What all papers say and what was measured here: `claims.table()`.
# - The same code on a GPU, longer and wider: start JupyterLab with `SSLWORK_SCALE=gpu`.
