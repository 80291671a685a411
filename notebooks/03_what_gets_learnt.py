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
# # What gets learnt, from which samples
#
# A contrastive loss asks for one thing: tell the other view of a picture from all the rest of the batch. It does not
# say *by what*. A picture has an ink, a texture, a shape; whichever does the job first is learnt, and what the rest of the batch
# does not force the network to look at, it may never see.
#
# So the batch is part of the question. This notebook asks: **which feature wins, and can the choice of samples change
# it?**
#
# 1. *Multistage contrastive learning* fills batches with pictures that are alike in what has been learnt already.
# 2. *G-SimCLR* does the opposite: a batch of pictures as unlike as possible, so that no two of a class meet.
# 3. *MYOW* takes positives from other pictures.
# 4. *ScatSimCLR* fixes the first layers instead, and asks what is then left to learn.
#
# All runs use AdamW (learning rate 0.003 unless said otherwise, warm-up, then a cosine to zero). Numbers of trained networks come from
# recorded studies of the code you see, three seeds each; "in our run" means the record printed here. Closed forms and short trainings are
# computed on the spot.
#
# Two probes read the frozen representations: *k-NN* (20 neighbours by cosine) and *linear* (logistic regression, C = 1, on standardised
# features). Both know the labels of a bank of training pictures and are asked about test pictures: 4,000 and 2,000 on the lab scale, unless said
# otherwise. In a table, ± is the standard deviation over the seeds; a row without it has no random part.

# %%
import torch

from sslwork import (
    claims,
    data,
    embed,
    encoders,
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
# ## Multistage contrastive (MCL): what has the network not learnt?
#
# The pictures of this section are **scenes**: a digit, in one of 6 inks, on a grating of one of 6 directions. The
# three factors are known and independent, so we can ask a network about each: a linear probe reads digit, colour and texture from its frozen
# representation.
#
# A view turns a scene by 5 degrees at most, cuts and shifts it a little, changes its brightness and adds noise. **It
# keeps all three factors**, so none is forbidden: whatever is missing afterwards was not hidden by the views, but
# suppressed.

# %%
from functools import cache

from sklearn.decomposition import PCA

from sslwork import multistage
from sslwork.plots import stages as stage_plots
from sslwork.toys.suppression import pulls, two_features

scenes, factors = data.scenes(count=size.pick(smoke=600, lab=8_000, gpu=50_000))
new_scenes, new_factors = data.scenes("test", count=size.pick(smoke=200, lab=2_000, gpu=10_000))
scene_views = Views(
    crop=0.2, flip=0, rotate=5, brightness=0.2, contrast=0, saturation=0, hue=0, grey=0, noise=0.05
)
plots.pairs(
    *scene_views.pair(scenes[:12].images, torch.Generator().manual_seed(0)), scenes[:12].images, zoom=4
)

# %% [markdown]
# ### Why a feature falls silent
#
# Take two features of a picture, an easy one and a hard one, and let the network choose only how much weight $w_f$ each gets in the
# similarity: $\text{logit}_{ik} = \sum_f w_f\, s_f(i, k)$. NT-Xent then wants more of feature $f$ by
#
# $$-\frac{\partial L}{\partial w_f} = \frac{1}{2N}\sum_i \Big( s_f(i, p(i)) - \sum_{k \ne i} P_{ik}\, s_f(i, k) \Big),$$
#
# with $P_i$ the softmax of row $i$: **how much nearer the positive is, by this feature, than what the row looks at.**
# Two things silence a feature:
#
# - *another one has done the job*: $P_i$ lies on the positive, and the difference is 0;
# - *all have it alike*: $s_f$ is the same for the positive and for all negatives, and the difference is 0. Adding one number to all
#   logits of a row does not change a softmax.
#
# The first is suppression. The second is the cure: **fill the batch with pictures that are alike in the easy feature, and
# it is the easy one that falls silent.** Below, the easy feature comes in so many kinds; the hard one in 10.


# %%
def silence(easy_kinds, noise_of_hard):
    noise = (0.2, noise_of_hard)
    learnt = torch.linspace(0, 15, 25, dtype=torch.double)
    mixed, cell = (
        torch.stack([pulls(similarity, torch.stack([w, 0 * w])) for w in learnt])
        for similarity in (
            two_features(kinds=(easy_kinds, 10), noise=noise, one_cell=one) for one in (False, True)
        )
    )
    kept = [float(pull[-1, 1] / pull[0, 1]) for pull in (mixed, cell)]
    said = (
        f"With the easy feature learnt, a batch of all pictures pulls on the hard one with {kept[0]:.0%} of its first strength; "
        f"a batch from one cell still with {kept[1]:.0%}, and on the easy one not at all."
    )
    return stage_plots.pulls(learnt, mixed, cell), said


silence_lab = Sliders(silence, easy_kinds=(2, 128, 64), noise_of_hard=(0.2, 2.0, 0.8))
silence_lab

# %% [markdown]
# Move *easy kinds* up to 128, the number of pictures: a picture then shares its kind with one other on average, and little is left to do for
# the hard feature. Move it down to 6: many negatives now share the easy kind, and the hard feature is needed as before. So the pull alone
# suppresses only what is superfluous; a small network, which must choose, does the rest.
#
# ### The method
#
# Zhang, Lan, Qu, Cheng, Feng and Hooi (2024) turn the second silence into a training in stages. Cells $c_0 = 0$ for all pictures; then
# for stage $t = 0, \dots, T - 1$:
#
# 1. train a fresh encoder $f_t$ with the usual loss, **every batch from one cell of $c_t$**;
# 2. embed the pictures, scale to length one, cluster them: $a_t \in \{0..k-1\}$;
# 3. $c_{t+1} = k\,c_t + a_t$: a number for the tuple $(a_0, \dots, a_t)$. Cells only get finer.
#
# In the end the stages stand side by side, each at length one: the cosine of two pictures is the mean of the stages'
# cosines. The code is `multistage.fit`; with one stage, or $k = 1$, it is ordinary training.


# %%
def mcl_method(stage, seed=0):
    own = 100 * seed + stage
    return methods.SimCLR(
        encoders.conv(size.pick(smoke=4, lab=4, gpu=16), 3, seed=own), temperature=0.1, seed=own
    )


mcl_options = {"views": scene_views, "batch_size": size.pick(smoke=16, lab=128, gpu=256), "progress": False}


# %% [markdown]
# ### The experiment
#
# Three stages of 400 steps, k = 5, a convolutional network of width 4 (16 numbers per picture), NT-Xent at temperature 0.1, batches of 128
# from 8,000 scenes, AdamW. Against it:
#
# - **one long run**: the same number of steps, one encoder, hence a third of the width;
# - **ensemble**: three ordinary runs from three seeds, side by side. Same compute *and* same width of the representation.
#   Three encoders nearly always know more than one; without this control any three stages look good;
# - the three encoders before training, and raw pixels.
#
# Asked for beforehand, on every seed: 4 points of digit accuracy more than the long run. Expected besides: more of digit and texture than the
# ensemble, and less of the colour in the later stages alone. Cells smaller than a batch are left out of training; the last column of the table
# says what share of the pictures a stage could use.


# %%
def read_factors(model, probed):
    before, after = (embed(model, some, progress=False) for some in (scenes[:probed], new_scenes))
    return {
        name: 100 * measures.linear(before, kinds[:probed], after, new_factors[name], c=1.0).value
        for name, kinds in factors.items()
    }


def suppression(seed, *, steps, k, stages, probed):
    def alone(stage, steps):
        run = train.fit(mcl_method(stage, seed), scenes, steps=steps, seed=100 * seed + stage, **mcl_options)
        return run.method.encoder

    def method(stage):
        return mcl_method(stage, seed)

    mcl = multistage.fit(method, scenes, stages=stages, k=k, steps=steps, seed=100 * seed, **mcl_options)
    others = [alone(stage, steps) for stage in range(1, stages)]
    models = {
        "raw pixels": torch.nn.Flatten(),
        "untrained, three": multistage.Stages(method(stage).encoder for stage in range(stages)),
        **{f"stage {t} alone": encoder for t, encoder in enumerate(mcl.encoders)},
        "MCL": mcl,
        "one long run": alone(0, stages * steps),
        "ensemble": multistage.Stages([mcl.encoders[0], *others]),
    }
    whole = [cells.bincount()[cells] >= mcl_options["batch_size"] for cells in mcl.cells]
    used = {f"stage {t} alone": {"% of pictures used": 100 * whole[t].float().mean()} for t in range(stages)}
    return {name: read_factors(model, probed) | used.get(name, {}) for name, model in models.items()}


mcl_study = studies.run(
    "multistage",
    suppression,
    seeds=size.seeds,
    steps=size.pick(smoke=2, lab=400, gpu=4_000),
    k=5,
    stages=3,
    probed=size.pick(smoke=300, lab=4_000, gpu=20_000),
)
print(mcl_study)
mcl_study.table()

# %% [markdown]
# Of the texture the network of stage 0 knows no more, on average, than before its training (about 47 %, see *Which factor wins?* below), and a
# probe of *raw pixels* reads the digit far better than it does (from 768 numbers, though, where the network has 16). The ink was easier, and the
# network took that. **This is suppression**: digit and texture are in the picture, they survive the views, and the training hardly asks for them.
# (From pixels themselves a linear probe reads next to no texture: no weighted sum of them says how a grating of any phase runs.)
#
# In the figure, compare *MCL* with its two controls, digit first, then texture.

# %%
plots.arms(
    mcl_study,
    "digit",
    "colour",
    "texture",
    lines={"colour": {"chance": 100 / 6}, "texture": {"chance": 100 / 6}},
)

# %%
over_long = {name: mcl_study.difference("MCL", "one long run", name) for name in factors}
over_ensemble = {name: mcl_study.difference("MCL", "ensemble", name) for name in factors}
later = {
    name: [mcl_study.mean(f"stage {t} alone", name) - mcl_study.mean("stage 0 alone", name) for t in (1, 2)]
    for name in factors
}
for control, differences in {"one long run": over_long, "the ensemble": over_ensemble}.items():
    for name, values in differences.items():
        print(f"MCL less {control}, {name}, by seed:", *(f"{x:+.1f}" for x in values))
for name, values in later.items():
    print(f"stages 1 and 2 less stage 0, {name}, means:", *(f"{x:+.1f}" for x in values))

# %% [markdown]
# What to read in these lines:
#
# - **Against one long run** the stages win, most of all by the texture. By the digit they win on average; in our run one seed of three
#   shows nothing, so the 4 points asked for on *every* seed are not there.
# - **Against the ensemble**, the harder control and the honest one, MCL is in our run far ahead by the texture and clearly behind by the
#   digit, on every seed. Cells do not add knowledge in general; they *move* it. Among pictures of like ink the next easiest thing is the
#   grating, and a later stage learns that: stage 1 on two seeds, stage 2 on the third. The digit is the hardest of the three: its turn would
#   come among pictures alike in ink *and* grating, which five clusters of six inks do not give. Three ordinary encoders, each of which sees a
#   little of the digit, together see more of it.
# - **Later stages neglect what is settled.** Every stage starts afresh, and where the ink is nearly the same for all it need not learn it: alone,
#   stages 1 and 2 know less of the colour than stage 0. That is why the stages stay side by side.

# %%
claim = claims.record(
    system="111",
    paper="MCL: stages trained within the clusters of earlier stages learn features which one contrastive training suppresses.",
    measured=(
        "linear probe of the digit in scenes of digit, ink and grating: three stages of "
        f"{mcl_study.settings['steps']} steps side by side, less one run of three times the steps; AdamW. Less an ensemble of three ordinary "
        "runs, mean over seeds: "
        + ", ".join(f"{name} {sum(values) / len(values):+.1f}" for name, values in over_ensemble.items())
    ),
    effects=over_long["digit"],
    unit="points of probe accuracy",
    needed=4,
    seconds=mcl_study.seconds,
)
print(claim)

# %% [markdown]
# ### Look into the stages
#
# A smaller training of three stages, made now. Move through the stages, colour the map by factor or by cell. By *colour*, points have the ink of
# their picture. The strip shows pictures of one cell after the stage: what do they have in common? The table has the means of the study above;
# framed is the stage on the map.

# %%
small = multistage.fit(
    mcl_method, scenes[:4_000], k=5, steps=size.pick(smoke=2, lab=80, gpu=400), **mcl_options
)
print("cells after each stage:", [len(cells.unique()) for cells in small.cells])
on_board = 800
maps = [
    PCA(2, random_state=0).fit_transform(embed(net, scenes[:on_board], progress=False))
    for net in small.encoders
]
knows = {
    arm: {name: mcl_study.mean(arm, name) for name in factors}
    for arm in (*(f"stage {t} alone" for t in range(3)), "MCL", "one long run", "ensemble", "raw pixels")
}


def board(stage, colour, cell):
    cells = small.cells[stage + 1]
    names = cells.unique()
    own = cells == names[cell % len(names)]
    kinds = (
        cells[:on_board].unique(return_inverse=True)[1] if colour == "cell" else factors[colour][:on_board]
    )
    common = {name: float(y[:4_000][own].bincount().max() / own.sum()) for name, y in factors.items()}
    said = f"Cell {cell % len(names)} of {len(names)} after stage {stage}: {int(own.sum())} pictures; most frequent "
    said += (
        ", ".join(f"{name} {share:.0%}" for name, share in common.items())
        + " of them (of all pictures 11, 17 and 17 %; in a small cell something is frequent by chance alone)."
    )
    picked = scenes[own.nonzero().flatten()[:20]].images
    return stage_plots.stage(
        maps[stage],
        kinds,
        picked,
        knows,
        f"stage {stage} alone",
        title=f"stage {stage}, by {colour}",
        palette=["red", "yellow", "lime", "cyan", "blue", "magenta"] if colour == "colour" else (),
    ), said


board_lab = Sliders(board, stage=(0, 2, 0), colour=["colour", "digit", "texture", "cell"], cell=(0, 30, 0))
board_lab

# %% [markdown]
# ### Which factor wins?
#
# How easy a factor is lies in the data. Turn the ink from pure to faint, and the grating from strong to faint: recorded is what an ordinary
# contrastive training (AdamW, 200 steps of 128 from 4,000 scenes) then knows of each. The green stroke is the encoder before training: a bar that
# ends left of it is a factor *lost* in training.
#
# Look at the digit. Its shape is the same in all of them, yet in our run the trained network goes from 35 % to 81 % as both rivals fade. Not
# all of this is rivalry: a faint ink is nearly white and shows the strokes in all three channels, so that the *untrained* network goes from about
# 20 % to 54 %. The rest is: what training adds to the digit grows from 14 points to 27.


# %%
def easier(seed, *, inks, gratings, steps, count, probed):
    arms = {}
    for ink in inks:
        for grating in gratings:
            sets = [
                data.scenes(split, count=count // (1 + 3 * (split == "test")), ink=ink, grating=grating)
                for split in ("train", "test")
            ]
            (some, kinds), (new, new_kinds) = sets
            method = mcl_method(0, seed)
            for name in ("untrained", "trained"):
                if name == "trained":
                    train.fit(method, some, steps=steps, seed=seed, **mcl_options)
                before, after = (embed(method.encoder, rows, progress=False) for rows in (some[:probed], new))
                arms[f"ink {ink}, grating {grating}, {name}"] = {
                    factor: 100 * measures.linear(before, y[:probed], after, new_kinds[factor], c=1.0).value
                    for factor, y in kinds.items()
                }
    return arms


inks, gratings = (0.1, 0.3, 1.0), (0.25, 0.75)
ease_study = studies.run(
    "ease-of-factors",
    easier,
    seeds=size.seeds,
    inks=inks,
    gratings=gratings,
    steps=size.pick(smoke=1, lab=200, gpu=2_000),
    count=size.pick(smoke=400, lab=4_000, gpu=20_000),
    probed=size.pick(smoke=150, lab=2_000, gpu=10_000),
)
print(ease_study)


@cache
def examples(ink, grating):
    return data.scenes(count=18, ink=ink, grating=grating)[0].images


def which_wins(ink, grating):
    arm = f"ink {ink}, grating {grating}"
    trained = {name: ease_study.values(f"{arm}, trained", name) for name in factors}
    untrained = {name: ease_study.mean(f"{arm}, untrained", name) for name in factors}
    gains = {name: sum(values) / len(values) - untrained[name] for name, values in trained.items()}
    said = (
        "Training changes the probes by "
        + ", ".join(f"{name} {gain:+.0f}" for name, gain in gains.items())
        + " points."
    )
    return stage_plots.ease(examples(float(ink), float(grating)), trained, untrained), said


ease_lab = Sliders(
    which_wins, ink=[str(ink) for ink in inks[::-1]], grating=[str(grating) for grating in gratings[::-1]]
)
ease_lab

# %% [markdown]
# ### Exercise: number the tuples
#
# `found` is a list of labels, one tensor `(N,)` per stage, each in `0..k - 1`. Return one number per picture, such that two pictures get the
# same number exactly if they agree in **all** stages. (Code that looks at the last stage only has been published; the
# check catches it.)


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "joint-labels", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_joint_labels(found, k):
    ### BEGIN SOLUTION
    cells = torch.zeros_like(found[0])
    for labels in found:
        cells = k * cells + labels
    return cells
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "joint-labels-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
found = list(torch.randint(3, (3, 200), generator=torch.Generator().manual_seed(0)))
tuples = list(zip(*(labels.tolist() for labels in found), strict=True))
numbers = my_joint_labels(found, 3).tolist()
assert len(set(numbers)) > 9, "27 tuples occur here: look at all stages, not at the last two"
assert len(set(numbers)) == len(set(tuples)), "as many numbers as there are tuples"
assert len(set(zip(numbers, tuples, strict=True))) == len(set(tuples)), "one number for each tuple"
print("Joint labels: right.")

# %% [markdown]
# ## G-SimCLR: who should not meet in a batch?
#
# NT-Xent pushes every other picture of the batch away, those of the anchor's own class too. Such a pair is a **false
# negative**. In random batches of $C$ balanced classes a share of $1/C$ of all pairs is false. Chakraborty, Gosthipaty and
# Paul (2020) want none:
#
# 1. train a denoising auto-encoder, and take the mean of its smallest map as a code of each picture;
# 2. cluster the codes by k-means into as many clusters as the batch is large, $k = B$;
# 3. give each picture of a cluster a rank, sort all pictures by rank, and cut the row into batches: while no cluster is
#    exhausted, every batch has one picture of each;
# 4. train SimCLR with these batches. Clusters shape batches only; the loss knows nothing of them.
#
# First the whole experiment, in code and as a table; its arms are explained below. Then batches of ten affine digits, drawn by its clusters. A
# red frame: another picture of the batch shows the same digit. The clusters are named by what they were made of: pixels, codes of the
# auto-encoder, or representations of a trained *SimCLR*, the method taken one round further. Step through the batches. Which clusters help?

# %%
from sklearn.metrics import normalized_mutual_info_score

from sslwork import autoencoder
from sslwork.batches import OnePerCluster, guided_order
from sslwork.clustering import kmeans
from sslwork.measures.false_negatives import expected_rate, false_negative_rate
from sslwork.plots import clashes
from sslwork.schedule import batch_rows


def rate(order, some, batch_size, batches=200):
    """False negatives in the first batches of an order, % of pairs."""
    rows = torch.stack([order(step, len(some), batch_size, 0) for step in range(batches)])
    return 100 * false_negative_rate(some.labels[rows])


# %%
def guided(seed, *, small, large, views_seen, dae_steps, told):
    """SimCLR on random, guided and clean batches of two sizes, as many views each; and what other clusters would do."""

    def trained(order, batch_size, lr):
        method = methods.SimCLR(encoder(seed), temperature=0.1, seed=seed)
        train.fit(
            method, pictures, views=views, batches=order, batch_size=batch_size, lr=lr, steps=views_seen // (2 * batch_size),
            seed=seed, progress=False,
        )  # fmt: skip
        return method.encoder

    def code(model):
        return embed(model, pictures, progress=False)

    arms = {
        "raw pixels": probing.accuracies(torch.nn.Flatten(), bank, test),
        "untrained encoder": probing.accuracies(encoder(seed), bank, test),
    }
    codes = {
        "raw pixels": pictures.raw(),
        "auto-encoder": code(autoencoder.fit(pictures, steps=dae_steps, seed=seed).encoder),
    }
    for size_of_batch, lr in ((small, 1e-3), (large, 2e-3)):
        orders = {
            "random": batch_rows,
            "guided": OnePerCluster(kmeans(codes["auto-encoder"], size_of_batch, seed=seed)),
            "true classes": OnePerCluster(pictures.labels),
        }
        for name, order in orders.items():
            network = trained(order, size_of_batch, lr)
            found = {"false negatives, %": rate(order, pictures, size_of_batch)}
            arms[f"B = {size_of_batch}, {name}"] = probing.accuracies(network, bank, test) | found
            codes["SimCLR"] = codes.get("SimCLR", code(network))  # of the first arm: random, small batches
    for name, rows in codes.items():
        clusters = {k: kmeans(rows, k, seed=seed) for k in (small, large)}
        arms[f"clusters: {name}"] = {
            "NMI with the class": normalized_mutual_info_score(pictures.labels, clusters[small]),
            **{
                f"false negatives, B = {k}": rate(OnePerCluster(own), pictures, k)
                for k, own in clusters.items()
            },
            "of the first pictures": "".join(str(int(c)) for c in clusters[small][:told]),
        }
    return arms


guided_study = studies.run(
    "guided",
    guided,
    seeds=size.seeds,
    small=10,
    large=64,
    views_seen=size.pick(smoke=256, lab=30_000, gpu=1_000_000),
    dae_steps=size.pick(smoke=2, lab=200, gpu=2_000),
    told=size.pick(smoke=200, lab=1_000, gpu=1_000),
)
print(guided_study)
few = [arm for arm in guided_study.arms if not arm.startswith("clusters")]
guided_study.table().loc[few, ["k-NN", "linear", "false negatives, %"]]


# %%
def shown_batches(clusters_of, first_batch):
    arm = guided_study.results[0][f"clusters: {clusters_of}"]
    clusters = torch.tensor([int(c) for c in arm["of the first pictures"]])
    some = pictures[: len(clusters)]
    order = OnePerCluster(clusters)
    rows = torch.stack([order(first_batch + i, len(some), 10, 0) for i in range(5)])
    said = (
        f"Clusters of {clusters_of}: normalised mutual information with the digit {arm['NMI with the class']:.2f} (1 would be the same); "
        f"{arm['false negatives, B = 10']:.1f} % of all pairs are false negatives; 10 % in random batches, 0 % with true classes."
    )
    return clashes.batches(some.images[rows], some.labels[rows]), said


batches_lab = Sliders(
    shown_batches, clusters_of=["auto-encoder", "raw pixels", "SimCLR"], first_batch=(0, 95, 0)
)
batches_lab

# %%
clusterings = [arm for arm in guided_study.arms if arm.startswith("clusters")]
guided_study.table(2).loc[
    clusterings, ["NMI with the class", "false negatives, B = 10", "false negatives, B = 64"]
]

# %% [markdown]
# Above, over all seeds: how much the clusters say of the digit, and how many pairs clash. Nothing tells pixels or an auto-encoder to overlook
# where a digit stands and how it is turned; their clusters say little of the digit. Then ten clusters guide hardly better than chance.
#
# ### How much can be won?
#
# Two closed forms answer that before anything is trained. **The bound**: with more pictures in the batch than there are classes some
# must share one, whatever the clusters. At best every class has $B / C$ of them:
#
# $$\text{rate} \;\ge\; \frac{B / C - 1}{B - 1} \quad (B > C), \qquad 0 \quad (B \le C).$$
#
# (A little more where $C$ does not divide $B$; below it is counted exactly.) At $C = 10$, $B = 64$, as in the paper's experiment on CIFAR-10,
# this is 8.6 %, against 10 % in random batches: *nothing* can remove more than a seventh of the false negatives. **The purity**: let a picture be in a cluster of its own class with probability $p$, else
# anywhere. A clash is avoided only if both pictures are where they belong:
#
# $$\text{rate}(p) = p^2\,\text{bound} + (1 - p^2) / C.$$
#
# Half-pure clusters go a quarter of the way. Find the settings at which guiding could matter.


# %%
def guiding(batch_size, classes, purity):
    random, here, least = (expected_rate(batch_size, classes, p) for p in (0, purity, 1))
    said = f"Random {random:.2%}, guided {here:.2%}, at best {least:.2%} of the pairs are false negatives."
    return clashes.rates(batch_size, classes, purity), said


guiding_lab = Sliders(guiding, batch_size=(2, 256, 64), classes=(2, 200, 10), purity=(0.0, 1.0, 0.5))
guiding_lab

# %% [markdown]
# ### An epoch in the paper's order
#
# The order by rank takes one picture of each cluster while all clusters last. Clusters are not of one size: the small ones run out, and
# the last batches come from the large ones alone. Here are the first 1,000 pictures. Blue: pairs of one cluster in each batch, none at first.
# Orange: what it is all about.
# (Shuffling the loader afterwards would undo all of it.) In our experiments every step draws a random member of each cluster instead, so that all batches are alike.

# %%
told = torch.tensor(
    [int(c) for c in guided_study.results[0]["clusters: auto-encoder"]["of the first pictures"]]
)
whole = len(told) // 10 * 10
clashes.epoch(told, guided_order(told)[:whole].view(-1, 10), pictures.labels[: len(told)])

# %% [markdown]
# ### The experiment
#
# The table above: ten pictures per batch, so that clean batches are possible, and 64, where they are not; **as many views for each
# arm**. *Random* is SimCLR; *guided* has the clusters of the auto-encoder; *true classes* is the oracle, the best that any clustering could
# do. AdamW, NT-Xent at 0.1, learning rate 0.001 for batches of 10 and 0.002 for 64. Our head has two layers, the paper's three.
# The runs are short, 30,000 views on the lab scale: in our run none reaches the raw pixels by k-NN, all pass them by the linear probe. Compare
# the arms with each other. Asked for beforehand: at $B = 10$ the oracle is 2 points of k-NN accuracy better than random batches, and guided batches lie
# between the two.

# %%
plots.arms(guided_study, "k-NN", "linear", only=few)

# %%
oracle, guide = (
    guided_study.difference(f"B = 10, {arm}", "B = 10, random", "k-NN") for arm in ("true classes", "guided")
)
print("k-NN at B = 10, true classes less random:", *(f"{x:+.1f}" for x in oracle))
print("k-NN at B = 10, guided less random:      ", *(f"{x:+.1f}" for x in guide))
for arm in ("true classes", "guided"):
    differences = guided_study.difference(f"B = 64, {arm}", "B = 64, random", "k-NN")
    print(f"k-NN at B = 64, {arm} less random:", *(f"{x:+.1f}" for x in differences))

# %% [markdown]
# ### Many classes: nothing to guide
#
# 176 letters and figures, nine styles each, three more to ask about. In a random batch of 64 half a percent of the pairs are false negatives;
# there is hardly anything to remove, and guiding should change nothing. *Retrieval* asks whether the nearest neighbour of a letter in an unseen
# style is the same letter. 250 steps of 64, AdamW, learning rate 0.002.


# %%
letter_throw = {"size": 16, "turn": 20, "scale": (0.8, 1.2), "shift": 0.15}
letters = data.load("glyphs", **letter_throw)
new_letters = data.load("glyphs", split="test", **letter_throw)


def guided_letters(seed, *, batch_size, steps, dae_steps):
    def retrieval(model):
        before, after = (embed(model, some, progress=False) for some in (letters, new_letters))
        return {"retrieval": 100 * measures.knn(before, letters.labels, after, new_letters.labels, k=1).value}

    codes = embed(autoencoder.fit(letters, steps=dae_steps, seed=seed).encoder, letters, progress=False)
    orders = {
        "random": batch_rows,
        "guided": OnePerCluster(kmeans(codes, batch_size, seed=seed)),
        "true classes": OnePerCluster(letters.labels),
    }
    arms = {"raw pixels": retrieval(torch.nn.Flatten()), "untrained encoder": retrieval(encoder(seed))}
    for name, order in orders.items():
        method = methods.SimCLR(encoder(seed), temperature=0.1, seed=seed)
        train.fit(
            method,
            letters,
            views=views,
            batches=order,
            batch_size=batch_size,
            lr=2e-3,
            steps=steps,
            seed=seed,
            progress=False,
        )
        arms[name] = retrieval(method.encoder) | {"false negatives, %": rate(order, letters, batch_size)}
    return arms


letter_study = studies.run(
    "guided-letters",
    guided_letters,
    seeds=size.seeds,
    batch_size=64,
    steps=size.pick(smoke=1, lab=250, gpu=5_000),
    dae_steps=size.pick(smoke=1, lab=200, gpu=2_000),
)
print(letter_study)
letter_study.table(2)

# %% [markdown]
# So it is: in our run the three arms lie within the spread of the seeds, and none reaches the raw pixels. Even clean batches gain nothing here.

# %%
claim = claims.record(
    system="082",
    paper="G-SimCLR: with NT-Xent it is better if no two images of one category are in a batch.",
    measured=(
        f"k-NN accuracy on affine digits, batches of one picture of each of 10 true classes less random batches, {guided_study.settings['views_seen']:,} "
        "views, AdamW. With the paper's own clusters, those of an auto-encoder, less random, mean over seeds: "
        f"{sum(guide) / len(guide):+.1f} points; they bring false negatives from "
        f"{guided_study.mean('B = 10, random', 'false negatives, %'):.1f} to {guided_study.mean('B = 10, guided', 'false negatives, %'):.1f} % of the pairs"
    ),
    effects=oracle,
    unit="points of k-NN accuracy",
    needed=2,
    seconds=guided_study.seconds,
)
print(claim)

# %% [markdown]
# The effect is that of the *oracle*, which knows the classes. It says what perfectly clean batches are worth: on every seed a little more than
# nothing, on one of three the 2 points asked for (in our run). An anchor in a random batch of ten meets 0.9 clashes on average, and
# NT-Xent seems to forgive most of them.
#
# The auto-encoder's clusters get nothing of it, of either sign, and the closed forms say why: they say so little of the digit that they remove
# next to none of the clashes (the rates are read from 200 batches, ± 0.3 at B = 10). Clusters of a trained SimCLR say twice as much, and the
# purity enters squared: still far from clean. At B = 64, the paper's size, even the oracle cannot do more than the bound allows. The paper's own gain
# on CIFAR-10, 0.6 points of linear accuracy, is less than random batches vary here from seed to seed. Its gain on five classes of ImageNet, 7.6
# points, is not; but with five classes and batches of 64 the bound is 18.8 %, against 20 %, so it can hardly come from cleaner batches.
#
# ### Exercise: the guided order
#
# Return the order of the paper: all rows sorted by their rank within the cluster (0 for the first of its cluster, in the order of the rows), ties by cluster.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "guided-order", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_guided_order(clusters):
    ### BEGIN SOLUTION
    clusters, seen, keys = clusters.tolist(), {}, []
    for row, cluster in enumerate(clusters):
        keys.append((seen.get(cluster, 0), cluster, row))
        seen[cluster] = seen.get(cluster, 0) + 1
    return torch.tensor([row for _, _, row in sorted(keys)])
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "guided-order-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
mixed = torch.randint(7, (60,), generator=torch.Generator().manual_seed(0))
sizes_331 = my_guided_order(torch.tensor([0, 0, 0, 1, 1, 1, 2])).tolist()
assert sorted(sizes_331) == list(range(7)), "every picture once an epoch"
assert sizes_331[:3] == [0, 3, 6], "the first batch: the first of each cluster"
assert sizes_331 == [0, 3, 6, 1, 4, 2, 5], "then the second of each that has one, and so on"
assert torch.equal(my_guided_order(mixed), guided_order(mixed)), "the order is not that of the paper"
print("Guided order: right.")

# %% [markdown]
# ## MYOW: what if nobody can say what a view is?
#
# So far *we* decided what a network learns to ignore: we made the views. For pictures we know what may be changed.
# For the spikes of a population of neurons nobody knows: which change of 120 counts leaves "the same" brain state?
# Azabou and others (2021) let the network look for views itself. Besides two made views, as in BYOL, each sample
# gets a **mined** one: another sample that lies near in representation space. *Mine your own view.*
#
# The data here are synthetic: 120 motor neurons fire while an arm reaches into one of eight directions. While the arm is
# fast, a neuron fires more for its own direction and less for the opposite one. A hidden *context* of the trial raises and
# lowers the neurons too; how strongly is the **drift**. The context stays for the whole trial, and says nothing of the direction.

# %%
from torch import nn

from sslwork import heads
from sslwork.mining import mine
from sslwork.plots import mined as mined_plots
from sslwork.plots.courses import courses
from sslwork.recordings import Moments, Nearby

trials = size.pick(smoke=24, lab=200, gpu=400)


def recordings(drift, seed):
    """Training and test trials: moments, and the direction of each trial."""
    parts = (data.reaches(split, trials=trials, drift=drift, seed=seed) for split in ("train", "test"))
    return [(Moments(part.spikes), part.direction) for part in parts]


shown = data.reaches(trials=trials, drift=0.5, seed=0)
busy = shown.spikes[:, 6:14].mean(1)  # (trials, neurons): counts while the arm is fast
excess = torch.stack([busy[shown.direction == d].mean(0) for d in range(8)]) - busy.mean(0)
order = excess.argmax(0).argsort(stable=True)  # neurons by the direction they fire most for
picked = [int(row) for d in (1, 5) for row in (shown.direction == d).nonzero()[:2]]
mined_plots.rasters(
    shown.spikes[picked][:, :, order], [f"direction {int(shown.direction[row])}" for row in picked]
)

# %% [markdown]
# Four trials; neurons are sorted by the direction they like. In the middle bins a band lights up, higher for
# direction 1 than for direction 5. The rest is noise and context: lines that are bright or dark for a whole trial.
#
# The made views of a moment: another moment up to 4 bins away **in the same trial**, some neurons silenced (the same
# ones in both views), noise. Two moments of one trial share direction *and context*. So BYOL has no reason to
# overlook the context. A neighbour from **another trial** has another context: if it has the same direction, predicting
# it teaches the network what BYOL cannot learn.
#
# ### The maths
#
# $f$ is the encoder, $g_1, q_1$ BYOL's projector and predictor; a second projector $g_2$ sits **on top of** $g_1$
# (cascaded), with its predictor $q_2$. Primes are slow twins. Take a third view $x_3$, milder than the others, and a
# pool of candidates $x_p$. With $y = f(x_3)$ and $Y'_p = f'(x_p)$, draw $m(i)$ uniformly among the $k$ candidates with
# the smallest $2 - 2\cos(y_i, Y'_p)$. Then
#
# $$L = \frac{1}{1+w} L_\text{BYOL} + \frac{w}{1+w}\,\frac1N\sum_i \Bigl(2 - 2\cos\bigl(q_2 g_2 g_1 y_i,\; g_2' g_1' Y'_{m(i)}\bigr)\Bigr),$$
#
# where $w$ is 0 at first (neighbours of an untrained network mean little) and then rises to its full weight. The choice
# is an index and has no gradient. Nobody may choose itself: at distance 0 it always would. Here nobody may
# choose a moment of its own trial either.
#
# ### The code
#
# The mining is a few lines: similarities, a mask, `topk`, a draw.

# %%
angle = torch.tensor([0.0, 0.1, 0.25, 1.5, 3.0])
points = torch.stack([angle.cos(), angle.sin()], 1)
trial = torch.tensor([0, 0, 1, 1, 2])
draw = torch.Generator().manual_seed(0)
for k in (1, 2, 5):
    found = [int(mine(points[:1], points, k=k, generator=draw, own=(trial[:1], trial))) for _ in range(300)]
    print(f"k = {k}: point 0 of trial 0 mines", {row: found.count(row) for row in sorted(set(found))})

# %% [markdown]
# Point 1 is nearest, but of the same trial: it is never mined. With $k$ as large as the pool, mining is a lottery among
# all others: the control.
#
# A short training to look into. `method.mined` says whom the last step has mined for whom.

# %%
way = Nearby(lag=4, dropout=0.8, noise=0.1)
mild = Nearby(lag=0, dropout=0.0, noise=0.1)


def mlp(seed):
    net = heads.mlp(120, 128, 64, seed=seed)
    net.out_features = 64
    return net


def myow(moments, seed, **options):
    settings = {
        "k": 3,
        "weight": 1.0,
        "warm_up": 0.15,
        "full": 0.3,
        "mild": mild,
        "groups": moments.trial,
    } | options
    return methods.MYOW(mlp(seed), seed=seed, **settings)


def middle(net, moments):
    """Features of bins 4 to 15, while the arm moves, and the trial of each."""
    rows = (moments.bin >= 4) & (moments.bin < 16)
    device = next(net.parameters(), moments.now).device
    net.eval()
    with torch.no_grad():
        return net(moments.now[rows].to(device)).cpu(), moments.trial[rows]


(moments, direction), _ = recordings(0.5, 0)
few_trials = data.reaches("test", trials=trials // 4, drift=0.5, seed=0)
unseen, unseen_direction = Moments(few_trials.spikes), few_trials.direction
method, snapshots = myow(moments, 0), {}
short = size.pick(smoke=4, lab=200, gpu=400)


def look(run):
    if run.step % (short // 4) == 0:
        snapshots[run.step] = middle(method.encoder, unseen)


train.fit(method, moments, views=way, steps=short, batch_size=256, show=look)
queries, found = method.mined
same = direction[moments.trial[queries]] == direction[moments.trial[found]]
print(
    f"In the last step {100 * same.float().mean():.0f} % mined a moment of their own direction; chance is 12.5 %."
)

# %% [markdown]
# Move the **step**: does the map sort itself by direction, and do the neighbours follow? Choose another **query**, and
# more or fewer neighbours. All moments here are of test trials, and none of the own trial is a neighbour. (The drift and
# the weight are set above: change `recordings(0.5, 0)` or `weight=1.0`, and run the two cells again.)


# %%
nearest = {}  # step -> (N, 20) rows, nearest first
for at, (features, of_trial) in snapshots.items():
    u = torch.nn.functional.normalize(features, dim=1)
    nearest[at] = (u @ u.T).masked_fill(of_trial[:, None] == of_trial, -2).topk(20).indices


def around(query: int, step: int, k: int):
    at = list(snapshots)[step]
    near = {s: rows[:, :k] for s, rows in nearest.items()}
    kind = unseen_direction[snapshots[at][1]]
    rates = {s: float((kind[rows] == kind[:, None]).float().mean()) for s, rows in near.items()}
    z = snapshots[at][0] - snapshots[at][0].mean(0)
    xy = z @ torch.linalg.svd(z, full_matrices=False).Vh[:2].T
    mine_here = kind[near[at][query]]
    said = (
        f"k = {k}: {int((mine_here == kind[query]).sum())} of its neighbours go in direction {int(kind[query])} as it does; "
        f"over all queries {100 * rates[at]:.0f} % do, chance 12.5 %."
    )
    return mined_plots.mined(xy, kind, query, near[at][query], rates, at, 1 / 8), said


last = len(snapshots) - 1
Sliders(around, query=(0, len(snapshots[0][0]) - 1, 30), step=(0, last, last), k=(1, 20, 3))

# %% [markdown]
# ### Does it help?
#
# BYOL and MYOW, each 800 steps of 256 moments, **optimiser AdamW**, learning rate 0.003, as encoder a perceptron
# 120-128-64. We read the direction of single moments off the frozen features: the bank are moments of the 200 training
# trials, the questions those of 200 others. Three drifts: none (0), a middle one (0.5) and a strong one (1). The claim is
# judged at the middle one. Asked for beforehand: 2 points of k-NN accuracy more than BYOL, nothing lost in the linear
# probe, and a hit rate of three times chance.
#
# The middle drift was **not** fixed blindly. What had been seen by then, each on one seed: an earlier trial, with other
# code, in which BYOL named the direction of 70 % of the moments and MYOW of 2.6 points more (hence the 2 points); our own
# trial at drift 1, where MYOW was five points *worse* than BYOL; then BYOL alone at drifts 0, 0.25 and 0.5, with 77, 76 and
# 69 %. We took 0.5, where BYOL is as good as in the trial with the gain, before MYOW had been run there. So the claim is
# judged where it had the better prospects; the drift at which it was known to fail stays in the table. The seed of our
# trials, 0, is one of the three.
#
# Controls: raw counts, the untrained encoder, MYOW that mines **any** moment of another trial ($k$ = pool), and MYOW
# that looks for neighbours behind the projector.


# %%
def read(net, parts):
    """Direction of single moments from their features, in %: bank of the training trials, queries of the others."""
    (bank, trial), (rows, unseen_trial) = (middle(net, moments) for moments, _ in parts)
    four = bank, parts[0][1][trial], rows, parts[1][1][unseen_trial]
    return {"k-NN": 100 * measures.knn(*four).value, "linear": 100 * measures.linear(*four, c=1.0).value}


def mined_views(seed, *, steps, drifts, judged):
    def trained(method, parts):
        (moments, direction), hits = parts[0], []

        def watch(run):
            if run.step and isinstance(method, methods.MYOW):
                query, found = (direction[moments.trial[rows]] for rows in method.mined)
                hits.append(100 * (query == found).float().mean())

        train.fit(method, moments, views=way, steps=steps, batch_size=256, lr=3e-3, seed=seed, show=watch)
        parts_of_the_way = [part.mean() for part in torch.tensor(hits).chunk(20)] if hits else []
        mined = {"hit rate": parts_of_the_way[-1], "hits": parts_of_the_way} if hits else {}
        return read(method.encoder, parts) | mined

    arms = {}
    for drift in drifts:
        parts = recordings(drift, seed)
        moments = parts[0][0]
        arms |= {
            f"raw counts, drift {drift:g}": read(nn.Flatten(), parts),
            f"untrained, drift {drift:g}": read(mlp(seed), parts),
            f"BYOL, drift {drift:g}": trained(methods.BYOL(mlp(seed), seed=seed), parts),
            f"MYOW, drift {drift:g}": trained(myow(moments, seed), parts),
        }
        if drift == judged:
            arms["MYOW, any moment"] = trained(myow(moments, seed, k=512), parts)
            arms["MYOW, behind the projector"] = trained(myow(moments, seed, projected=True), parts)
    return arms


myow_study = studies.run(
    "mined-views",
    mined_views,
    seeds=size.seeds,
    steps=size.pick(smoke=3, lab=800, gpu=4000),
    drifts=size.pick(smoke=[0.5], lab=[0.0, 0.5, 1.0], gpu=[0.0, 0.5, 1.0, 2.0]),
    judged=0.5,
)
print(myow_study)
myow_study.table()

# %%
shown_arms = [arm for arm in myow_study.arms if "untrained" not in arm]
plots.arms(
    myow_study,
    "k-NN",
    "linear",
    only=shown_arms,
    lines={"k-NN": {"chance": 12.5}, "linear": {"chance": 12.5}},
)

# %%
courses(
    myow_study, "hits", only=[arm for arm in shown_arms if "MYOW" in arm], label="twentieth of the training"
)

# %% [markdown]
# Above, every dot is a seed; compare arms of one drift. Below, how many of the mined moments had the direction of
# their query, in %: a choice of any moment stays at chance, 12.5 %. The others start above it before anything
# is learnt, for the counts themselves know something of the direction. How high they climb depends on the drift: mining
# can only find what the space already holds near. Where the context is stronger than the direction, a neighbour is rather
# a moment of *similar context*, and to predict it teaches the wrong thing.

# %%
drifts, chance = myow_study.settings["drifts"], 12.5
gain = {
    (drift, probe): myow_study.difference(f"MYOW, drift {drift:g}", f"BYOL, drift {drift:g}", probe)
    for drift in drifts
    for probe in ("k-NN", "linear")
}
for (drift, probe), effects in gain.items():
    print(
        f"drift {drift:g}: MYOW less BYOL, {probe}: {', '.join(f'{effect:+.1f}' for effect in effects)} points"
    )
hits = myow_study.values("MYOW, drift 0.5", "hit rate")
print(
    f"hit rate at drift 0.5: {', '.join(f'{hit:.0f}' for hit in hits)} %, {min(hits) / chance:.1f} times chance at least (3 asked for)"
)
for control in ("MYOW, any moment", "MYOW, behind the projector"):
    differences = myow_study.difference(control, "BYOL, drift 0.5", "k-NN")
    print(f"{control}, less BYOL, k-NN: {', '.join(f'{each:+.1f}' for each in differences)} points")
claim = claims.record(
    system="074",
    paper="MYOW: predicting mined neighbours besides made views beats BYOL on recordings of neurons, in some cases by more than 10 %.",
    measured=(
        f"k-NN accuracy for the direction of single moments of new trials, MYOW less BYOL; synthetic population, drift 0.5, "
        f"{myow_study.settings['steps']} steps of 256, AdamW, lr 0.003. Linear probe: {min(gain[0.5, 'linear']):+.1f} at least; "
        f"hit rate {min(hits):.0f} % at least, chance 12.5."
    ),
    effects=gain[0.5, "k-NN"],
    unit="points of k-NN accuracy",
    needed=2,
    seconds=myow_study.seconds,
)
print(claim)

# %% [markdown]
# In our run mining works and does not help. It finds the right direction more than three times as often as chance, but
# about six of ten mined moments still go elsewhere, and they are targets too. At the middle drift the seeds disagree on
# whether MYOW gains; at the strong one it loses five to six points in every seed, just where BYOL would need help most:
# BYOL itself falls below the raw counts there, and near in its space is what shares the context. Mining repeats what the
# space already says, for better or worse. The one seed on which MYOW gains 2 points is the one of our trials. What differs
# from the paper: real recordings, a thousand epochs, a larger network, LARS, and a weight of 0.1 where we took 1.
#
# ### Exercise: mine
#
# Return the rows of the `k` candidates nearest to each query by cosine, nearest first, none of them from the query's own
# trial: `y` is `(N, D)`, `pool` `(M, D)`, `trial` `(N,)`, `pool_trial` `(M,)`; the answer `(N, k)`.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "mine", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nearest_elsewhere(y, pool, trial, pool_trial, k):
    ### BEGIN SOLUTION
    unit = torch.nn.functional.normalize
    similarity = unit(y, dim=1) @ unit(pool, dim=1).T  # (N, M)
    similarity[trial[:, None] == pool_trial] = -torch.inf
    return similarity.topk(k, dim=1).indices
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "mine-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
z = torch.randn(40, 6, generator=torch.Generator().manual_seed(2), dtype=torch.double)
of = torch.arange(40) // 4
rows = nearest_elsewhere(z, z, of, of, 3)
assert rows.shape == (40, 3), "three rows of the pool for each query"
assert (of[rows] != of[:, None]).all(), (
    "a neighbour of the own trial was mined; a query is its own nearest neighbour"
)
assert torch.equal(rows, nearest_elsewhere(5 * z, z, of, of, 3)), "the length of a row must not matter"
first = mine(z, z, k=1, generator=torch.Generator().manual_seed(0), own=(of, of))
assert torch.equal(rows[:, 0], first), "the first is not the nearest"
print("Exercise: right.")

# %% [markdown]
# ## ScatSimCLR: does the first part of the network have to learn at all?
#
# With few pictures there is little to learn filters from. ScatSimCLR (Kinakh, Taran and Voloshynovskiy, 2021) does not
# learn them: the first part of the encoder is a **wavelet scattering**, two layers of fixed filters, and only a
# small *adapter* behind it is trained. Let $*$ be convolution, $\psi_{j,l}$ a small wave of scale $2^j$ at angle $l$,
# and $\varphi$ a Gaussian blur:
#
# $$S_0 = x * \varphi, \qquad S_1(j, l) = |x * \psi_{j,l}| * \varphi, \qquad
# S_2(j, l, j', l') = \bigl||x * \psi_{j,l}| * \psi_{j',l'}\bigr| * \varphi, \quad j' > j.$$
#
# The wave finds edges of one size and direction; the modulus forgets exactly where the edge lies; the blur makes that
# forgetting even, and what it blurs away the second order picks up again. Nothing is random and nothing is fitted.
# With $J$ scales and $L$ angles, each channel of a picture becomes $1 + LJ + L^2 J(J-1)/2$ maps, $2^J$ times smaller.
#
# Move $J$ and $L$: the filter bank is made while you look.

# %%
from sslwork.plots import filters
from sslwork.plots.budget import budget
from sslwork.scattering import Scattering, frame_bound
from sslwork.warp import affine


def bank_of_filters(scales: int, angles: int):
    scattering = Scattering(scales, angles, size=32)
    bound = frame_bound(scattering)
    said = (
        f"{scattering.channels} maps of {32 >> scales} x {32 >> scales} from each channel of a 32 x 32 picture. All filters together "
        f"pass {float(bound.min()):.2f} to {float(bound.max()):.3f} of the power of a frequency: "
    )
    said += (
        "none comes out stronger than it went in."
        if bound.max() < 1.001
        else "some come out stronger than they went in."
    )
    return filters.filter_bank(scattering), said


Sliders(bank_of_filters, scales=(1, 4, 2), angles=(1, 8, 4))

# %% [markdown]
# Left: each wave is a pattern of stripes. Right: each ring marks where one of them listens; finer waves lie farther out,
# the grey ring is the blur. (The waves listen on one side only: for a real picture the other side says the same.) With one or two angles, or many
# angles and scales, some frequencies come out stronger than they went in; what is said below of distances needs settings where none does.
#
# The maps of one digit, with $J = 2$ and $L = 4$, as in the experiment below:

# %%
scattering = Scattering(2, 4, size=16)
digit = data.to_float(test.images[:1])  # (1, 1, 16, 16)
filters.scattered(scattering, digit[0])

# %% [markdown]
# Order 0 is a tiny blurred picture. Each map of order 1 lights up where the strokes run across its wave: upper row fine,
# lower row coarse. Order 2, with sixteen maps, says where edges of one direction change along another.
#
# ### The code
#
# The whole scattering is one FFT, a product with each filter, one inverse FFT, a modulus; then the blur, two small
# matrix products. What the theory promises can be checked on the spot.

# %%
s, x, y = scattering, *data.to_float(test.images[:2])[:, None]
for promise, value in {
    "trainable parameters": sum(p.numel() for p in s.parameters()),
    "a constant picture, 0.7, has orders 1 and 2 of at most": s(torch.full_like(x, 0.7))[:, 1:].abs().max(),
    "|S(2x) - 2 S(x)| is at most": (s(2 * x) - 2 * s(x)).abs().max(),
    "orders 1 and 2 of -x and x differ by at most": (s(-x) - s(x))[:, 1:].abs().max(),
    "most that any frequency keeps of its power": frame_bound(s).max(),
    "||Sx - Sy|| / ||x - y|| for two digits": (s(x) - s(y)).norm() / (x - y).norm(),
}.items():
    print(f"{promise}: {float(value):.3g}")

# %% [markdown]
# No frequency gains power, so $S$ never puts two pictures farther apart than they are; the last line is one case. (Where one
# place in 16 is kept, all lengths shrink about to a quarter; below we compare *relative* changes.) It should bring together
# pictures that differ by little *moves*. Move a digit, turn it, stretch it: how far do its pixels go, how far its scattering?


# %%
def move(picture: int, shift: float, turn: float, stretch: float, scales: int):
    net = Scattering(scales, 4, size=32)
    image = torch.nn.functional.interpolate(data.to_float(test.images[picture, None]), 32, mode="bilinear")
    steps = torch.linspace(0, 6, 25)

    def moved(shifts):
        many = image.expand(len(shifts), -1, -1, -1)
        one = torch.ones(len(shifts))
        angle, wide = one * turn * torch.pi / 180, one / stretch
        return affine(many, angle=angle, width=wide, height=one, x=-shifts / 16, y=0 * one)

    def change(z):
        return ((z - z[:1]).flatten(1).norm(dim=1) / z[:1].norm())[1:]

    pixels = torch.cat([image, moved(torch.tensor([shift])), moved(steps)])
    both = {"pixels": change(pixels), f"scattering, J = {scales}": change(net(pixels))}
    (far, *raw), (near, *calm) = (values.tolist() for values in both.values())
    said = f"The pixels change by {100 * far:.0f} % of their length, the scattering by {100 * near:.0f} %."
    curves = dict(zip(both, (raw, calm), strict=True))
    return filters.changes(
        [image[0], pixels[1]],
        ["a digit", "moved"],
        curves,
        steps.tolist(),
        shift,
        along="shift, pixels of 32",
    ), said


Sliders(
    move,
    picture=(0, 50, 3),
    shift=(0.0, 6.0, 1.5),
    turn=(-30.0, 30.0, 0.0),
    stretch=(0.7, 1.4, 1.0),
    scales=(1, 4, 2),
)

# %% [markdown]
# Small moves cost the scattering less than the pixels; the larger $J$, the more so. (A small network that *learns* to
# ignore shifts must see many shifted pictures first.)
#
# ### The pretext: which way is up?
#
# Few pictures can be asked one more question that needs no label. ScatSimCLR turns a view by 0, 90, 180 and 270 degrees,
# and a small head $c$ on the representation $h$ must name the turn:
#
# $$L = L_\text{NT-Xent} + \lambda \, \frac{1}{4N} \sum_{i,\,r} -\log \operatorname{softmax}\bigl(c(h(\operatorname{rot}_r x_i))\bigr)_r .$$
#
# On digits the question is not quite fair: a turned 6 is a 9, and a 0 or a 1 looks the same either way.
#
# ### Does it help, with few pictures?
#
# The same 500 pictures under the same kind of views for every arm, 400 steps of 64 pictures, **optimiser AdamW**, learning rate 0.003,
# temperature 0.5, $\lambda = 0.3$. Against the scattering (8,304 trainable parameters in the adapter) stand
# a conv net with eleven times as many, and one with about as few. Then the same with 8,000 pictures. Controls: raw
# pixels, the scattering **alone**, which has learnt nothing at all, and each encoder before training. Asked for before
# looking: with 500 pictures the scattering is at most one point worse than the large conv net, by k-NN. Expected besides: that
# its advantage is smaller with 8,000.

# %%
ENCODERS = {
    "conv": lambda seed: encoders.conv(size.pick(smoke=16, lab=32, gpu=32), 3, seed=seed),
    "small conv": lambda seed: encoders.conv(size.pick(smoke=4, lab=9, gpu=9), 3, seed=seed),
    "scattering": lambda seed: encoders.scattering(size=16, seed=seed),
}
grey = nn.Conv2d(3, 1, 1, bias=False).requires_grad_(False)
grey.weight.fill_(1 / 3)


def fixed_filters(seed, *, steps, few, many, pretext):
    def trained(name, count, pretext=0.0):
        method = methods.ScatSimCLR(ENCODERS[name](seed), pretext=pretext, seed=seed)
        own, parts = pictures[len(bank) : len(bank) + count], []  # none of them among those the probes know

        def watch(run):
            if run.step and pretext:
                parts.append(torch.stack(method.parts))

        run = train.fit(method, own, views=views, steps=steps, batch_size=64, lr=3e-3, seed=seed, show=watch)
        curves = {}
        if parts:
            means = torch.stack([part.mean(0) for part in torch.stack(parts).chunk(40)])  # (40, 2)
            curves = {"NT-Xent": means[:, 0], "rotation": means[:, 1]}
        counted = {"parameters": sum(p.numel() for p in method.encoder.parameters()), "seconds": run.seconds}
        return probing.accuracies(method.encoder, bank, test) | counted | curves

    alone = nn.Sequential(grey, Scattering(2, 4, size=16), nn.Flatten())
    arms = {"raw pixels": probing.accuracies(nn.Flatten(), bank, test)}
    arms["scattering alone"] = probing.accuracies(alone, bank, test)
    arms |= {
        f"{name}, untrained": probing.accuracies(make(seed), bank, test) for name, make in ENCODERS.items()
    }
    arms |= {f"{name}, {few} pictures": trained(name, few) for name in ENCODERS}
    arms |= {
        f"{name}, {few} pictures, rotation": trained(name, few, pretext) for name in ("conv", "scattering")
    }
    arms |= {f"{name}, {many} pictures": trained(name, many) for name in ("conv", "scattering")}
    return arms


few, many = size.pick(smoke=(64, 128), lab=(500, 8_000), gpu=(500, 50_000))
scattering_study = studies.run(
    "fixed-filters",
    fixed_filters,
    seeds=size.seeds,
    steps=size.pick(smoke=1, lab=400, gpu=4_000),
    few=few,
    many=many,
    pretext=0.3,
)
print(scattering_study)
scattering_study.table()

# %%
pixels = {probe: {"raw pixels": scattering_study.mean("raw pixels", probe)} for probe in ("k-NN", "linear")}
plots.arms(
    scattering_study,
    "k-NN",
    "linear",
    only=[arm for arm in scattering_study.arms if arm != "raw pixels"],
    lines=pixels,
)


# %%
def found(name, count):
    return scattering_study.values(f"{name}, {count} pictures", "k-NN")


trained = {
    name: {scattering_study.mean(f"{name}, {few} pictures", "parameters"): found(name, few)}
    for name in ENCODERS
}
by_count = {name: {count: found(name, count) for count in (few, many)} for name in ("conv", "scattering")}
budget({"parameters trained": trained, "pictures to learn from": by_count}, label="k-NN accuracy, %")

# %% [markdown]
# Above: every dot a seed. Below: what it costs, in parameters that were trained and in pictures. Look at *scattering
# alone* in the linear probe first: a linear probe reads far more from filters that have seen no picture at all than from the
# pixels. An adapter that has learnt nothing (*untrained*) loses part of it. Look then at how far each encoder has come from
# its untrained self, and what sixteen times as many pictures change.
#
# What did the rotations do? The two parts of the loss, in fortieths of the training; each seed a thin line.

# %%
courses(
    scattering_study,
    "NT-Xent",
    "rotation",
    only=[arm for arm in scattering_study.arms if "rotation" in arm],
    label="fortieth of the training",
)

# %% [markdown]
# A head that guesses among four turns has a loss of $\log 4 = 1.39$: below it, the representation knows something of up
# and down.

# %%
advantage = {
    count: scattering_study.difference(f"scattering, {count} pictures", f"conv, {count} pictures", "k-NN")
    for count in (few, many)
}
for count, effects in advantage.items():
    print(
        f"scattering less conv, {count:,} pictures: {', '.join(f'{each:+.1f}' for each in effects)} points of k-NN accuracy"
    )
equal = scattering_study.difference(f"scattering, {few} pictures", f"small conv, {few} pictures", "k-NN")
print(f"scattering less small conv, {few} pictures: {', '.join(f'{each:+.1f}' for each in equal)} points")
for name in ("conv", "scattering"):
    turned = scattering_study.difference(
        f"{name}, {few} pictures, rotation", f"{name}, {few} pictures", "k-NN"
    )
    print(f"rotation loss for {name}: {', '.join(f'{each:+.1f}' for each in turned)} points")
share, cost = (
    scattering_study.mean(f"scattering, {few} pictures", measure)
    / scattering_study.mean(f"conv, {few} pictures", measure)
    for measure in ("parameters", "seconds")
)
print(f"trained parameters: {share:.2f} of the conv net's; time: {cost:.1f} times the conv net's")
smaller = sum(advantage[many]) < sum(advantage[few])
print(f"the advantage is smaller with {many:,} pictures: {smaller}")
claim = claims.record(
    system="058",
    paper="ScatSimCLR: with a fixed scattering in place of learnt filters, fewer parameters give the same accuracy on small data.",
    measured=(
        f"k-NN accuracy on new throws of MNIST digits, scattering with {share:.2f} of the parameters less conv net, {few} "
        f"pictures to learn from, {scattering_study.settings['steps']} steps of 64, AdamW, lr 0.003. Mean difference with {many:,} "
        f"pictures: {sum(advantage[many]) / len(advantage[many]):+.1f}."
    ),
    effects=advantage[few],
    unit="points of k-NN accuracy",
    needed=-1,
    seconds=scattering_study.seconds,
)
print(claim)

# %% [markdown]
# In our run the scattering wins in every seed with an eleventh of the trained parameters; a conv net as small falls far
# behind. Against what was expected, the advantage does not shrink with more pictures: the conv net makes nothing of them in
# 400 steps of 64, which see each of 8,000 pictures three times. The scattering costs time, though: fixed filters have to be computed too
# (the seconds are those of a busy machine). The rotations are learnt, to a loss of about 1 (1.39 by guessing); accuracy
# changes by -1.4 to +2.7 points, for neither encoder of one sign.
#
# One control should make you think. To a linear probe, the scattering **alone** is better than anything trained
# here: about 93 %. It has 400 numbers per picture to read from; the trained encoders have 36 to 128 (the one behind the
# scattering 64), and have lost part of what these say. What the training adds is that neighbours agree: about 80 % by k-NN
# with the filters alone, 86 % behind the trained adapter.
#
# ### Exercise: scatter
#
# Write one map of order 1 from the formula. `x` is a picture `(H, W)`; `psi` and `phi` are the *Fourier transforms* of wavelet
# and blur, `(H, W)` and real. Convolve by FFT (everything wraps round, no padding), take the modulus, blur, keep every
# `step`-th place. Which part must be complex, and where does it end?


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "scatter", "locked": false, "schema_version": 3, "solution": true, "task": false}
def first_order(x, psi, phi, step):
    ### BEGIN SOLUTION
    heard = torch.fft.ifft2(torch.fft.fft2(x) * psi).abs()
    return torch.fft.ifft2(torch.fft.fft2(heard) * phi).real[::step, ::step]
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "scatter-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
net = Scattering(2, 4, size=16)
psi, phi = net.psi.double()[6], net.phi.double()
picture = torch.rand(24, 24, generator=torch.Generator().manual_seed(3), dtype=torch.double)
out = first_order(picture, psi, phi, 4)
assert out.shape == (6, 6), "every fourth place of 24"
assert first_order(torch.ones(24, 24).double(), psi, phi, 4).abs().max() < 1e-6, "a constant has no edges"
assert torch.allclose(first_order(-picture, psi, phi, 4), out), "the modulus forgets the sign; is it there?"
assert torch.allclose(first_order(picture.roll(4, 0), psi, phi, 4), out.roll(1, 0)), (
    "a shift by `step` shifts the map by one"
)
bright = torch.nn.functional.pad(picture[None, None, 4:20, 4:20].float(), [4] * 4, mode="reflect")[
    0, 0
].double()
assert torch.allclose(
    first_order(bright, psi, phi, 4)[1:5, 1:5].float(), net(picture[None, None, 4:20, 4:20])[0, 7], atol=1e-5
), "not the map of order 1"
print("Exercise: right.")

# %% [markdown]
# ## Where next?
#
# - Notebook 04: all methods of the family on equal terms.
# - What all papers say and what was measured here: `claims.table()`.
# - The same code on a GPU, longer and wider: start JupyterLab with `SSLWORK_SCALE=gpu`.
