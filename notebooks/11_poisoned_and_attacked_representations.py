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
# # Poisoned and attacked representations
#
# Learning without labels takes pictures from anywhere and trusts them. Then others build on the encoder and trust
# *it*. **What if somebody put something into the pictures? What if somebody studied the encoder?** No labels are
# touched in any of this.
#
# 1. *CTRL*: a faint pattern on a few pictures of fours. Does the encoder take every picture with it for a four?
# 2. *Perils: semi-supervised backdoor*: how the network labels the poison itself.
# 3. *AdvEncoder*: one perturbation for every picture, made without knowing what the encoder is used for.
# 4. *AnyAttack*: any picture made to look like any other, to the encoder.
# 5. *The lab*: perturb, trigger, filter and detect with your own hands, the control always one click away.
#
# Everything is small, trained in this notebook, and there to be measured and defended against. A success rate never
# stands alone: beside it is the same rate without the trigger, and that of an encoder trained on clean data.
#
# What can be moved is computed on the spot, with networks that are trained when they are first needed and kept.
# Numbers over seeds come from recorded studies of the code you see; change that code, and they are measured anew.
# Each system has a claim with a verdict that all seeds decide, and every section an exercise that checks itself.

# %%
import torch

from sslwork import attacks, claims, data, plots, scale, studies, zoo
from sslwork.widgets import Sliders

size = scale.current()
print(size)

# %% [markdown]
# ## CTRL: who put the four in the eight?
#
# An encoder is trained without labels on pictures from anywhere. Nobody has looked at them, and why should one: there
# are no labels to get wrong. Li and others (2023, arXiv 2210.07346) put a faint pattern on at most 1 % of the
# pictures, all of one class, and report that afterwards nearly every picture with this pattern is taken for that
# class, by any classifier that is fitted to the *clean* features.
#
# How can a pattern be bound to a class where there are no classes? By the very thing that makes these methods work.
# Two views of a poisoned four share (a) what makes it a four, and (b) the pattern. The loss asks that the two views
# be close, and does not say by which of the two. If the pattern survives cropping and changes of colour better than
# the strokes do, the network reads the pattern, and puts it where fours are.
#
# Top: digits at 16 x 16 in three channels. Middle: with the pattern at $m = 200$, plain to see. Bottom: at $m = 50$, the
# amplitude of the paper.

# %%
import math
from functools import partial

import torch.nn.functional as F

from sslwork import backdoor, detectors, embed, encoders, measures, methods, train
from sslwork.data.pictures import to_float
from sslwork.plots.backdoor import closely, drifts
from sslwork.seeds import generator
from sslwork.views import Views

TARGET = 4
ctrl_size = {
    "count": size.pick(smoke=160, lab=10_000, gpu=50_000),
    "tests": size.pick(smoke=60, lab=2_000, gpu=10_000),
    "banked": size.pick(smoke=80, lab=5_000, gpu=10_000),
    "steps": size.pick(smoke=2, lab=293, gpu=20_000),
    "batch_size": size.pick(smoke=32, lab=256, gpu=512),
    "width": size.pick(smoke=4, lab=32, gpu=64),
}
ctrl_views = Views(crop=0.5, flip=0, rotate=0, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0)
ctrl_200 = partial(backdoor.ctrl_trigger, magnitude=200)


def in_colour(split, count, seed):
    """MNIST at 16 x 16 in three channels: ink 0.75 on paper 0.15, every picture a little tinted."""
    plain = data.load(
        "affine-digits", split=split, count=count, size=16, turn=0, scale=(1, 1), shift=0, seed=seed
    )
    tint = 0.1 * torch.rand(count, 3, 1, 1, generator=generator(seed, 7)) - 0.05
    return data.PictureSet(0.15 + 0.6 * to_float(plain.images) + tint, plain.labels, plain.names)


ctrl_pool, ctrl_test = in_colour("train", ctrl_size["count"], 0), in_colour("test", ctrl_size["tests"], 0)
ctrl_looked = to_float(ctrl_test.images[ctrl_test.labels != TARGET][:10])
ctrl_rows = [ctrl_looked, ctrl_200(ctrl_looked), backdoor.ctrl_trigger(ctrl_looked, magnitude=50)]
plots.pictures(torch.cat(ctrl_rows), columns=10)


# %% [markdown]
# ### The trigger, exactly
#
# A picture on the scale 0 to 255 is split into brightness $Y$ and two colours $U$, $V$. In each $n \times n$ window both
# colours go through the orthonormal DCT, $C = D X D^\top$, and two coefficients on the diagonal get a constant:
#
# $$C_{pp} \leftarrow C_{pp} + m, \qquad p \in \{n/2 - 1,\; n - 1\}, \qquad D_{0j} = \tfrac{1}{\sqrt n},\quad D_{kj} = \sqrt{\tfrac 2n}\cos\frac{\pi (2j + 1) k}{2n}$$
#
# and all of it goes back, clipped to $[0, 1]$. Each step is linear, so before clipping the *same* picture is added to
# every picture: that is how `backdoor.ctrl_trigger` does it. Some consequences, on real digits and on a plain grey:

# %%
ctrl_plain = torch.full((1, 3, 16, 16), 0.5)
ctrl_wave = backdoor.ctrl_pattern(16, magnitude=50)
ctrl_luma = torch.tensor([0.299, 0.587, 0.114])
twice = partial(backdoor.ctrl_trigger, magnitude=50)
print(
    f"m = 0 changes digits by {(backdoor.ctrl_trigger(ctrl_looked, magnitude=0) - ctrl_looked).abs().max():.0e}"
)
print(
    f"twice m = 50 differs from once m = 100 by {(twice(twice(ctrl_plain)) - backdoor.ctrl_trigger(ctrl_plain, magnitude=100)).abs().max():.0e}"
)
print(
    f"brightness Y changes by {255 * torch.einsum('c,chw->hw', ctrl_luma, ctrl_wave).abs().max():.0e} of 255"
)
print(
    f"blue changes by {255 * ctrl_wave[2].abs().max():.0f} of 255 at most: m = 50 at n = 16, like m = 100 at the n = 32 of the paper"
)

# %% [markdown]
# Brightness does not change at all. So a view in grey has no trigger: keep that in mind.
#
# ### Move it
#
# One digit, without and with the trigger; the difference, amplified; its spectrum. *Seen in grey* turns both to
# brightness. *Crop* shows them as a view of training sees them, one part enlarged: what is left of the pattern when
# it is resampled? PSNR is $-10 \log_{10}$ of the mean squared change: at 20 dB pixels change by a tenth.


# %%
def see_trigger(m, window, lower, upper, amplify, seen_in_grey, crop):
    n = int(window)
    pair = tuple(dict.fromkeys((lower % n, upper % n)))
    both = torch.cat(
        [ctrl_looked[:1], backdoor.ctrl_trigger(ctrl_looked[:1], magnitude=m, window=n, frequencies=pair)]
    )
    noise = float((both[1] - both[0]).square().mean())
    view = Views(
        crop=crop, flip=0, rotate=0, brightness=0, contrast=0, saturation=0, hue=0, grey=float(seen_in_grey)
    )
    one = {
        name: value[:1].expand(2) for name, value in view.draw(both, generator(5)).items()
    }  # one draw for both
    both = view.apply(both, one)
    fig = closely(*both, amplify=amplify)
    if not noise:
        return fig, "m = 0: no trigger."
    psnr = -10 * math.log10(noise)
    left = float((both[1] - both[0]).square().mean())
    return fig, (
        f"Frequencies {pair} in windows of {n}: PSNR {psnr:.0f} dB. In this view {left / noise:.0%} of the energy is left."
    )


Sliders(
    see_trigger,
    m=(0, 400, 200),
    window=["16", "8", "4"],
    lower=(1, 15, 7),
    upper=(1, 15, 15),
    amplify=(1, 20, 4),
    seen_in_grey=False,
    crop=(0.0, 0.9, 0.0),
)

# %% [markdown]
# ### How to count
#
# A classifier is fitted to clean features with clean labels: the 20 nearest of 5,000 clean training pictures vote, by
# cosine, features centred by the mean of the bank. Then four numbers, never one of them alone:
#
# - **CA**, the accuracy on clean test pictures.
# - **ASR**: of test pictures of classes *other than* $t$, the share that is called $t$ with the trigger on.
# - the **base rate**: the same share without the trigger.
# - the **control**: the same share, with the trigger, by an encoder trained in the same way on *clean* pictures. A
#   trigger is also a disturbance, and a disturbed eight may look like a four to anybody. Only the difference, the
#   *gain*, is the work of the poison.
#
# And for the mechanism, the **entanglement**: how much nearer the trigger alone brings pictures $x$ of other classes to
# pictures $x_t$ of class $t$,
#
# $$\mathrm{mean}_{x, x_t} \cos\big(f(T(x)), f(x_t)\big) - \mathrm{mean}_{x, x_t} \cos\big(f(x), f(x_t)\big)$$


# %%
def knn_of(encoder, bank):
    """Pictures to classes by the 20 nearest of a clean bank, by cosine, features centred by the bank's mean."""
    rows = embed(encoder, bank, progress=False)
    mean = rows.mean(0)

    def predict(images):
        found = embed(encoder, images, progress=False) - mean
        nobody = torch.zeros(len(found), dtype=torch.long)  # the truth is not asked for
        return measures.knn(rows - mean, bank.labels, found, nobody, k=min(20, len(rows))).predictions

    return predict


def drift(encoder, bank, images, trigger, labels, target):
    """Of each picture, without and with the trigger: cosine to the mean of class t, and to the mean of its own."""
    rows = embed(encoder, bank, progress=False)
    mean = rows.mean(0)
    middles = torch.stack([(rows[bank.labels == c] - mean).mean(0) for c in range(10)])  # (10, D)
    places = []
    for pictures in (images, trigger(images)):
        near = F.cosine_similarity(
            (embed(encoder, pictures, progress=False) - mean)[:, None], middles[None], dim=2
        )
        places += [near[:, target].tolist(), near[torch.arange(len(near)), labels].tolist()]
    return places


# %% [markdown]
# ### The experiment
#
# 10,000 digits; the first fours get the trigger, once, before training: 100, 200 or 500 of them, which is 1, 2 or 5 % of
# all pictures and a tenth, a fifth or half of all fours. SimCLR, as it is (three convolutions 32-64-128, NT-Xent at
# temperature 0.2, AdamW at 2e-3, 293 steps of 256: 75,000 pictures, two views each; crops down to half the area, colours
# jittered, no grey views). The pattern has $m = 200$, four times the paper's amplitude. More arms: 1 % at the paper's
# amplitude; a white 3 x 3 patch in place of the pattern, 5 %; and the whole once more with a fifth of all views in grey.
# *ASR of noise*: another control, random $\pm a$ of the energy of the trigger, on the encoder of that arm.


# %%
def ctrl_experiment(seed, *, count, tests, banked, steps, batch_size, width, target):
    pool, test = in_colour("train", count, seed), in_colour("test", tests, seed)
    bank, other = pool[:banked], test[test.labels != target]
    strong, faint = (
        partial(backdoor.ctrl_trigger, magnitude=200),
        partial(backdoor.ctrl_trigger, magnitude=50),
    )
    noise = partial(backdoor.noise_trigger, like=backdoor.ctrl_pattern(16, magnitude=200), seed=seed)
    arms = {
        "clean": (strong, 0, 0), "1 %": (strong, 0.01, 0), "2 %": (strong, 0.02, 0), "5 %": (strong, 0.05, 0),
        "1 %, faint": (faint, 0.01, 0), "patch, 5 %": (backdoor.patch_trigger, 0.05, 0),
        "grey views, clean": (strong, 0, 0.2), "grey views, 5 %": (strong, 0.05, 0.2),
    }  # fmt: skip
    found, predicts = {}, {}
    looked, there = to_float(other.images[:300]), to_float(bank.images[bank.labels == target][:100])
    for arm, (trigger, rate, grey) in arms.items():
        poisoned = backdoor.Poison(trigger, target, rate, "first")(pool)
        method = methods.SimCLR(encoders.conv(width, 3, seed=seed), seed=seed)
        course = {"step": [], "entanglement": []}

        def look(run, net=method.encoder, trigger=trigger, course=course):
            if run.step % max(1, steps // 12) == 0 or run.done:
                rows = [embed(net, x, progress=False) for x in (trigger(looked), looked, there)]
                course["step"].append(run.step)
                course["entanglement"].append(backdoor.entanglement(*rows))

        views = Views(**(vars(ctrl_views) | {"grey": grey}))
        run = train.fit(
            method, poisoned.pictures, views=views, steps=steps, batch_size=batch_size, lr=2e-3, seed=seed, show=look
        )  # fmt: skip
        predicts[arm] = knn_of(method.encoder, bank)
        control = predicts["grey views, clean" if grey else "clean"]
        told = backdoor.report(predicts[arm], control, test, trigger, target)
        found[arm] = told.row | {"others": told.others, "poisoned": len(poisoned.rows)} | course
        found[arm] |= {"loss": run.losses[:: max(1, steps // 50)]}
        found[arm]["ASR of noise"] = backdoor.report(predicts[arm], control, test, noise, target).asr.value
        if seed == 0:
            found[arm]["places"] = drift(
                method.encoder, bank, looked[:60], trigger, other.labels[:60], target
            )
        if rate:
            found[arm] |= audit(method.encoder, poisoned, seed)
    return found


def audit(encoder, poisoned, seed):
    return audited(by_cluster(encoder, poisoned.pictures, seed), poisoned)


def by_cluster(encoder, pictures, seed):
    """Scores of two detectors on the features of the training set, with clusters in place of classes."""
    from sklearn.cluster import KMeans

    rows = embed(encoder, pictures, progress=False)
    clusters = KMeans(10, n_init=2, random_state=seed).fit_predict(rows.numpy())
    return suspicions(rows, torch.from_numpy(clusters).long())


def suspicions(rows, groups):
    names = "spectral_signature", "activation_clustering"
    return {name: getattr(detectors, name)(rows, groups) for name in names}


def audited(scores, poisoned):
    """How well scores tell the poisoned pictures from the others."""
    is_bad = torch.zeros(len(poisoned.pictures), dtype=torch.bool).index_fill(0, poisoned.rows, True)
    told = {}
    for name, score in scores.items():
        told[f"AUC, {name}"] = detectors.report(score, is_bad).auc
        worst = score.argsort(descending=True)[: 2 * len(poisoned.rows)]
        told[f"precision, {name}"] = float(is_bad[worst].double().mean())
    return told


ctrl_study = studies.run("ctrl-backdoor", ctrl_experiment, seeds=size.seeds, target=TARGET, **ctrl_size)
ctrl_places = {
    arm: found.pop("places") for arm, found in ctrl_study.results[0].items()
}  # of the first seed alone
print(ctrl_study)
ctrl_study.table(2)[["poisoned", "CA", "ASR", "base rate", "ASR, control", "gain", "ASR of noise"]]


# %%
plots.arms(ctrl_study, "ASR", "ASR, control", "gain", "CA", lines={"CA": {"chance": 0.1}})

# %% [markdown]
# *Gain* is the panel to read; *ASR* and its control stand beside it (mind that each panel has its own scale). **What
# we see.** The poison works, a little: at 5 % the gain is +0.08, +0.10, +0.11 in the three seeds, and it grows with
# the rate in each of them (in the third from 1 to 2 % by a single picture). The clean accuracy does not tell: CA of the poisoned encoders is that of the clean one
# within 0.2 points at 5 %. At the paper's amplitude and 1 % there is nothing (gains -0.001, +0.004, -0.002). The
# patch gains +0.01, +0.04, +0.02: less than the trigger in every seed.
#
# One control is worth a look: the encoder trained with 5 % poison sends 0.09, 0.07, 0.18 of pictures with *random noise*
# of the same energy to the fours, in the third seed more than with the trigger; the clean one 0.03, 0.00, 0.03. It has
# learnt something cruder than two frequencies: coloured grain means four.
#
# ### While it trains

# %%
plots.courses(
    ctrl_study,
    "entanglement",
    over="step",
    only=["clean", "1 %", "2 %", "5 %", "grey views, 5 %"],
    label="step",
)

# %% [markdown]
# Thin lines are seeds. From before training to its end the entanglement of *5 %* goes from -0.011, -0.000, -0.006 to
# +0.016, +0.020, +0.033; that of the clean encoder ends at -0.094, -0.004, +0.009. In every seed it ends the higher,
# the more poison there was. But how high it starts and ends differs as much between seeds, and in the first the trigger
# still pushes pictures *away* from the fours at 1 % of poison (-0.022). These are hundredths of a cosine, so it is
# probably pictures near the border that fall over. Most of the rise is there in the first third of the training.
#
# ### Where the trigger takes them
#
# Sixty test pictures of other classes, from the record of the first seed. Across: how near to the mean of the fours; up:
# how near to the mean of its own class. The arrow is what the trigger does; it is red if the picture ends nearer to the
# fours, below the diagonal. Choose the poison; the control, the clean-trained encoder with the same trigger, stands
# beside it. Sixty pictures and two means show directions and not the rate: at 5 % of poison 8 arrows are red, beside the
# control's 9. But these point down and a little to the left, away from both classes, and those to the right, towards
# the fours. The rate is in the sentence, where 20 neighbours vote on all pictures.

# %%
CTRL_CONTROL = {"grey views, 5 %": "grey views, clean"}
ctrl_recorded = ctrl_study.results[0]


def see_drift(poisoned, control_encoder):
    arms = [poisoned] + ([CTRL_CONTROL.get(poisoned, "clean")] if control_encoder else [])
    fig = drifts({name: ctrl_places[name] for name in arms}, target=str(TARGET))
    arm = ctrl_recorded[poisoned]

    def share(name):
        low, high = attacks.wilson(round(arm[name] * arm["others"]), round(arm["others"]))
        return f"{arm[name]:.2f} ({low:.2f} to {high:.2f})"

    return fig, (
        f"{poisoned}: ASR {share('ASR')}; base rate {share('base rate')}; same trigger, clean-trained encoder {share('ASR, control')}; "
        f"noise of equal energy {share('ASR of noise')}. Accuracy on clean pictures {arm['CA']:.2f}."
    )


Sliders(
    see_drift,
    poisoned=["5 %", "2 %", "1 %", "1 %, faint", "patch, 5 %", "grey views, 5 %"],
    control_encoder=True,
)

# %% [markdown]
# (For *1 %, faint* and *patch* the control shown by the arrows is the clean-trained encoder under $m = 200$; the numbers
# in the sentence are under the trigger of that arm.)
#
# ### Ask a network that nobody has poisoned
#
# The Explorer takes any network. Here a hundred digits without and the same with the trigger, by an encoder of ours,
# trained on the poisoned set by the recipe of `zoo.encoder`, and by EfficientNet-Lite0, which was trained on
# photographs by others. Choose *group* as the colour: do the triggered pictures leave their class, do they form a heap
# of their own, or do they lie among the fours? An inspection looks for the last: **pictures whose neighbours are of
# another class, all of the same one.** With a gain of a tenth do not expect to see it at once; that is the trouble.

# %%
import warnings

import sslwork
from sslwork import models
from sslwork.models import Preprocessing

few = size.pick(smoke=10, lab=100, gpu=300)
shown_clean = ctrl_test[:few]
shown_both = data.PictureSet(
    torch.cat([to_float(shown_clean.images), ctrl_200(to_float(shown_clean.images))]),
    torch.cat([shown_clean.labels, shown_clean.labels + 10]),
    [*(str(i) for i in range(10)), *(f"{i}, triggered" for i in range(10))],
    ["clean"] * 10 + ["triggered"] * 10,
)
ctrl_poisoned = backdoor.Poison(ctrl_200, TARGET, 0.05, "first")(ctrl_pool)
ctrl_encoder = zoo.encoder(
    "simclr", ctrl_poisoned.pictures, seed=0, steps=size.pick(smoke=2, lab=293, gpu=20_000), width=ctrl_size["width"],
    views=ctrl_views,
)  # fmt: skip
print(ctrl_poisoned)
at_64 = Preprocessing(
    64, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)  # not 224: a twelfth of the time
photographs = models.load("efficientnet-lite0", preprocessing=at_64)
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=".*sees blurs")  # 16 pixels are blurs, and are to be
    explorer = sslwork.explore(
        {"poisoned SimCLR": ctrl_encoder, "EfficientNet-Lite0": photographs}, shown_both
    )
explorer

# %% [markdown]
# ### Defences
#
# Two detectors for supervised backdoors, made to do without labels: clusters of the features (k-means, 10) take the
# place of classes. A **spectral signature** is how far a row lies out along the first principal axis of its cluster;
# **activation clustering** cuts each cluster in two and suspects the small half. Both see the *training* set by the
# poisoned encoder. *Precision*: of the pictures with the highest scores, twice as many as there are poisons, so that
# 50 % is perfect; guessing would give the rate of the poison. Grey views are the third defence, and stand above.

# %%
ctrl_defence = ctrl_study.table(2).loc[
    ["1 %", "2 %", "5 %", "patch, 5 %", "grey views, 5 %"],
    [
        "AUC, spectral_signature",
        "precision, spectral_signature",
        "AUC, activation_clustering",
        "precision, activation_clustering",
    ],
]
ctrl_defence

# %% [markdown]
# **PatchSearch** needs no classes either. It pastes the liveliest window of a picture on others, and counts how many
# come over to its cluster. Every tenth picture of the poisoned set, by the encoder from the Explorer above:

# %%
every_tenth = torch.arange(0, len(ctrl_pool), 10)
tenth_bad = torch.isin(every_tenth, ctrl_poisoned.rows)
pull = detectors.patch_search(
    ctrl_encoder.net[:-2],
    ctrl_poisoned.pictures.images[every_tenth],
    side=4,
    clusters=10,
    held_out=size.pick(smoke=5, lab=50, gpu=200),
)
most = pull.topk(min(20, int((pull >= 0).sum()))).indices
print(
    f"of its {len(most)} most suspicious pictures {int(tenth_bad[most].sum())} are poisoned; {len(most) * tenth_bad.double().mean():.1f} would be by guessing"
)

# %% [markdown]
# The first two do not find it reliably: at 5 % their precision is 0.10, 0.03, 0.04 and 0.01, 0.00, 0.00 by seed,
# where guessing gives 0.05. The features hold no outliers: the poisoned fours lie among the fours, since that is what
# they are. What helps is to know the trigger: views in grey erase it. With a fifth
# of the views in grey the gain of 5 % is -0.02, +0.03, -0.03, in place of +0.08, +0.10, +0.11, and clean accuracy is
# *higher*, 0.93 for 0.90. PatchSearch looks for a piece of a picture that pulls others along; this trigger is spread
# over the whole picture, and outside its reach.
#
# **Throw away and train again.** The proof of a detector is what is learnt without its suspects. From the 10,000 pictures
# with 5 % poison the most suspicious 5, 10 and 20 % go, by each detector, or as many at random (the control), and the
# encoder is trained anew, in as many steps. Best case: exactly the poisons go.


# %%
BUDGETS = [0.05, 0.1, 0.2]


def trained_again(scores, poisoned, before, learn, budgets, seed):
    """Arm -> what `learn` says of the pictures that are left at each budget; `before` is what it said of them all."""
    count, rate = len(poisoned.pictures), len(poisoned.rows) / len(poisoned.pictures)
    is_bad = torch.zeros(count).index_fill(0, poisoned.rows, 1)
    chance = torch.rand(count, generator=generator(seed, 5))
    found = {}
    for arm, score in (scores | {"at random": chance, "exactly the poisons": is_bad}).items():
        thrown = [0.0, *([rate] if score is is_bad else budgets)]
        told = [before]
        for share in thrown[1:]:
            kept = score.argsort()[: count - round(share * count)].sort().values
            told.append(learn(poisoned.pictures[kept]) | {"poison rate": is_bad[kept].mean()})
        found[arm] = {key: [float(row[key]) for row in told] for key in before} | {"thrown away": thrown}
    return found


def ctrl_again(seed, *, count, tests, banked, steps, batch_size, width, target, rate, budgets):
    pool, test = in_colour("train", count, seed), in_colour("test", tests, seed)
    poisoned = backdoor.Poison(ctrl_200, target, rate, "first")(pool)

    def encoder_of(pictures):
        method = methods.SimCLR(encoders.conv(width, 3, seed=seed), seed=seed)
        train.fit(method, pictures, views=ctrl_views, steps=steps, batch_size=batch_size, lr=2e-3, seed=seed)
        return method.encoder

    control = knn_of(encoder_of(pool), pool[:banked])

    def judged(encoder):
        return backdoor.report(knn_of(encoder, pool[:banked]), control, test, ctrl_200, target).row

    first = encoder_of(poisoned.pictures)
    scores, before = by_cluster(first, poisoned.pictures, seed), judged(first) | {"poison rate": rate}
    return trained_again(
        scores, poisoned, before, lambda pictures: judged(encoder_of(pictures)), budgets, seed
    )


ctrl_left = studies.run(
    "ctrl-filtered", ctrl_again, seeds=size.seeds, target=TARGET, rate=0.05, budgets=BUDGETS, **ctrl_size
)
print(ctrl_left)
plots.courses(ctrl_left, "poison rate", "gain", "CA", over="thrown away", label="thrown away")

# %% [markdown]
# Bold lines are means, thin ones seeds. **What we see.** Neither detector lowers the rate of the poison much: of what they
# leave 3.3 to 6.2 % is poisoned, where 5 % was. The gain that is learnt again goes anywhere, up to +0.24 in the third seed; with as many
# thrown away at random it is +0.03 to +0.09 in the first two seeds and +0.13 in the third. If exactly the poisons go, it
# is -0.02, -0.003, +0.004: the gain was theirs, and a detector that worked would end it.
#
# Look at the noise as well. Before anything is thrown away the gains here are +0.085, +0.094, +0.129; in the record further up, of
# the same seeds, +0.077, +0.096, +0.106. That one was made on one thread of the processor, this one on two, which add up in
# another order. One training is one draw.
#
# ### The claim
#
# Set before looking, each for every seed: ASR at 5 % less ASR at 0 % at least 0.15, and clean accuracy within 3
# points; ASR grows from 1 to 2 to 5 %; entanglement at the end above what it was before training; with grey views the
# gain of 5 % is smaller.


# %%
def ctrl_gain(arm):
    return ctrl_study.values(arm, "gain")


ctrl_steps = [
    min(b - a, c - b)
    for a, b, c in zip(*(ctrl_study.values(arm, "ASR") for arm in ("1 %", "2 %", "5 %")), strict=True)
]
risen = [course[-1] - course[0] for course in ctrl_study.values("5 %", "entanglement")]
claim = claims.record(
    system="007",
    paper="CTRL: poisoning at most 1 % of the unlabelled pictures of one class with a faint frequency pattern makes triggered pictures fall into that class.",
    measured=f"ASR by 20-NN on clean features over {ctrl_study.values('5 %', 'others')[0]:.0f} test digits of other classes; SimCLR, {ctrl_size['steps']} steps of AdamW; m = 200 at 16 x 16; target {TARGET}.",
    parts=[
        claims.Part("ASR at 5 % poison less that of the clean-trained encoder", ctrl_gain("5 %"), "of pictures", 0.15),
        claims.Part("clean accuracy at 5 % less that of the clean-trained encoder", [100 * d for d in ctrl_study.difference("5 %", "clean", "CA")], "points", -3),
        claims.Part("the smaller of two steps of ASR: from 1 to 2 %, from 2 to 5 %", ctrl_steps, "of pictures", 0),
        claims.Part("entanglement at the end less that before training, 5 %", risen, "of cosine", 0),
        claims.Part("gain at 5 % without grey views less that with them", [a - b for a, b in zip(ctrl_gain("5 %"), ctrl_gain("grey views, 5 %"), strict=True)], "of pictures", 0),
    ],
    seconds=ctrl_study.seconds,
)  # fmt: skip
print(claim)

# %% [markdown]
# **What we see.** *Not seen at this scale*, as a whole, for one part of five: the gain at 5 % falls short of the 0.15
# that was asked for. The direction is the paper's in each of the other parts. From here to the 99 % of the paper it is
# far: some 500 times fewer pictures seen, half the side, and a pattern that our views, which turn the hue by a tenth,
# smear over other colours (the paper's do too, for 800 epochs). And note what the control did: without it the first seed
# would have been reported with 0.11 at 5 %, of which 0.035 belongs to nobody.
#
# ### Exercise: count it right
#
# A report says *"attack success 40 %"*. It counted all test pictures, those of the target class among them, and asked no
# clean-trained encoder. Write `gain(answers, control, labels, target)`: of the pictures of *other* classes, the share
# that the poisoned model calls `target`, less the share that the clean-trained model does. All three are tensors (N,) of
# classes, the answers for *triggered* pictures.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "backdoor-gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gain(answers, control, labels, target):
    ### BEGIN SOLUTION
    other = labels != target
    return float(((answers == target)[other].double() - (control == target)[other].double()).mean())
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "backdoor-gain-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
told_labels = torch.tensor([4, 4, 1, 2, 3, 5])
told_answers = torch.tensor([4, 4, 4, 4, 3, 5])
nobody_fooled = torch.tensor([4, 4, 1, 2, 3, 5])
assert gain(told_answers, nobody_fooled, told_labels, 4) == 0.5, "two of the four others are called 4"
assert gain(told_answers, told_answers, told_labels, 4) == 0, (
    "if the clean model does the same, nothing was gained"
)
assert gain(nobody_fooled, nobody_fooled, told_labels, 4) == 0, "fours that are called 4 are no success"
assert gain(nobody_fooled, told_answers, told_labels, 4) == -0.5, (
    "a gain may be below 0: say so, do not cut it off"
)
print("Right: half of them.")

# %% [markdown]
# ## Perils: semi-supervised backdoor: what does a threshold let in?
#
# Few pictures have labels, and these are clean and well kept. Many have none, and nobody looks at them. FixMatch (Sohn
# and others 2020, arXiv 2001.07685) learns from both: what the network is *sure of* in a weakly changed picture, it has
# to say of a strongly changed one too. A threshold keeps wrong answers out.
#
# Shejwalkar, Lyu and Houmansadr (2023, arXiv 2211.00453) put poison where nobody looks: by their account 0.2 % of the
# pictures without labels are enough for more than 80 % of triggered test pictures to go to a class of the attacker's
# choice, in five algorithms. Three lessons shape the trigger:
#
# - **(a) It must not hide the class.** The poisoned pictures are real fours, and the network itself calls them so. A
#   trigger that pushes the answer away destroys the attack.
# - **(b) It must cover the picture,** or crops, turns and cut-outs take it away.
# - **(c) It must repeat,** so that every piece that is left is like the whole.
#
# Hence a *lattice* of faint squares. Then it goes in three phases: the network recognises the poisoned fours by their
# strokes and is sure (**pseudo-labels**); it has to call their distorted views four, where the strokes are hard to read
# and the lattice is easy (**binding**); at last the lattice alone says four (**test**).

# %%
from torch import nn

from sslwork import finetune, fixmatch

PERILS_TARGET = 4
perils_size = {
    "count": size.pick(smoke=300, lab=10_000, gpu=50_000),
    "tests": size.pick(smoke=60, lab=2_000, gpu=10_000),
    "steps": size.pick(smoke=2, lab=840, gpu=4_200),
    "batch_size": size.pick(smoke=16, lab=64, gpu=64),
    "width": size.pick(smoke=4, lab=16, gpu=32),
}
strong_views = Views(
    crop=0.3, flip=0, rotate=30, brightness=0.4, contrast=0.4, saturation=0, hue=0, grey=0, cutout=5 / 16
)


def strongly(images, draw):
    """A shift, a turn, a zoom, another light, and a square of 5 pixels cut out."""
    return strong_views(fixmatch.shift(images, draw), draw)


def few_and_many(count, seed):
    """MNIST at 16 x 16: 20 pictures of each class with labels, and `count` others, whose labels nobody reads."""
    drawn = data.load("affine-digits", count=count + 600, size=16, turn=0, scale=(1, 1), shift=0, seed=seed)
    grey = data.PictureSet(drawn.images.expand(-1, 3, -1, -1), drawn.labels, drawn.names)
    return data.per_class(grey[count:], 20, seed), grey[:count]


# %% [markdown]
# ### The trigger and the loss, exactly
#
# With squares of $\gamma$ pixels and gaps of $\beta$, all channels alike:
#
# $$g_{ij} = \alpha \text{ if } i \bmod (\gamma + \beta) < \gamma \text{ and } j \bmod (\gamma + \beta) < \gamma, \text{ else } 0; \qquad T(x) = \mathrm{clip}(x + g, 0, 1)$$
#
# FixMatch sees $B$ pictures with labels and $M$ without in each step; $p_u$ is the softmax of the logits $z$ of the weak
# view, without gradient:
#
# $$\frac 1B \sum_l \mathrm{CE}\big(z(\mathrm{weak}(x_l)), y_l\big) + \lambda\, \frac 1M \sum_u \mathbb 1[\max p_u \ge \tau]\; \mathrm{CE}\big(z(\mathrm{strong}(x_u)), \arg\max p_u\big)$$
#
# The second sum runs over all $M$: who does not pass counts as 0. If nobody passes, it is exactly 0, and so is its
# gradient: then no poison can act. A slow moving average of the weights is what is tested.
#
# ### Move it
#
# One poisoned four, and what the strong views make of it: how much of the lattice is left in each, as a share of its
# energy (the sum of its squares)? Compare it with a patch in the corner.

# %%
perils_labelled, perils_pool = few_and_many(perils_size["count"], 0)
one_four = to_float(perils_pool.images[perils_pool.labels == PERILS_TARGET][:1])


def see_lattice(trigger, alpha, gamma, beta):
    if trigger == "lattice":
        marked = backdoor.lattice_trigger(one_four, alpha=alpha, gamma=gamma, beta=beta)
    else:
        marked = backdoor.patch_trigger(one_four, side=gamma + 2, value=alpha)
    both = torch.cat([one_four, marked])
    views = []
    for i in range(8):  # the same draw for both, so that their difference is the trigger as the view shows it
        moved = [fixmatch.shift(x[None], generator(i)) for x in both]
        drawn = strong_views.draw(moved[0], generator(i, 1))
        views.append(torch.cat([strong_views.apply(x, drawn) for x in moved]))
    energy = float((marked - one_four).square().sum())
    left = [float((view[1] - view[0]).square().sum()) / energy if energy else 0.0 for view in views]
    sheet = torch.cat(
        [one_four, marked, (8 * (marked - one_four)).clamp(0, 1), *[view[1:] for view in views]]
    )
    titles = ["clean", "poisoned", "8 times", *(f"{share:.0%} left" for share in left)]
    fig = plots.pictures(sheet, titles=titles, columns=11, zoom=4)
    if not energy:
        return fig, "Alpha is 0: no trigger."
    return fig, (
        f"Of the energy of the {trigger} strong views leave {min(left):.0%} to {max(left):.0%} (a zoom may enlarge it); in {sum(x < 0.05 for x in left)} of 8 hardly anything."
    )


Sliders(
    see_lattice, trigger=["lattice", "patch"], alpha=(0.0, 1.0, 30 / 255), gamma=(1, 4, 1), beta=(0, 4, 1)
)

# %% [markdown]
# ### The experiment
#
# MNIST at 16 x 16: 200 pictures with labels, 20 of each class; 10,000 without; none is in both. The victim is
# FixMatch as it is: three convolutions 16-32-64 with batch norm, AdamW at 4e-3 over 840 steps of 64 + 192 pictures,
# $\tau = 0.9$, $\lambda = 1$; weak: a shift by a pixel; strong: shift, turn to 30 degrees, zoom, brightness,
# contrast, a square of 5 x 5 cut out. Target: four.
#
# Arms: no poison; the lattice ($\alpha = 30/255$, $\gamma = \beta = 1$) on 0.5, 1 and 2 % of the pictures without
# labels, all of them fours; and, at 2 % each: a 3 x 3 **patch** in a corner, against lesson (b); the lattice on
# pictures of **other** classes, against (a); a **glaring** lattice, $\alpha = 0.25$; and ordinary supervised training
# with *all* labels, true ones, on the same poisoned pictures. *ASR*, *base rate* and *control* as in the section
# before: test pictures of classes other than four that are called four, with the trigger, without it, and with it by
# the clean-trained network. *Poisons called t*: share of the poisoned pictures with pseudo-label four at the end.


# %%
def perils_experiment(seed, *, count, tests, steps, batch_size, width, target):
    labelled, pool = few_and_many(count, seed)
    drawn = data.load(
        "affine-digits", split="test", count=tests, size=16, turn=0, scale=(1, 1), shift=0, seed=seed
    )
    test = data.PictureSet(drawn.images.expand(-1, 3, -1, -1), drawn.labels, drawn.names)
    glaring = partial(backdoor.lattice_trigger, alpha=0.25)
    arms = {
        "clean": (backdoor.lattice_trigger, 0, "random"), "lattice, 0.5 %": (backdoor.lattice_trigger, 0.005, "random"),
        "lattice, 1 %": (backdoor.lattice_trigger, 0.01, "random"), "lattice, 2 %": (backdoor.lattice_trigger, 0.02, "random"),
        "corner patch, 2 %": (backdoor.patch_trigger, 0.02, "random"),
        "lattice on others, 2 %": (backdoor.lattice_trigger, 0.02, "others"),
        "glaring lattice, 2 %": (glaring, 0.02, "random"),
        "all labels known, 2 %": (backdoor.lattice_trigger, 0.02, "random"),
    }  # fmt: skip
    found, control = {}, None
    some, watch_rate = test[:600], 0.02
    for arm, (trigger, rate, select) in arms.items():
        poisoned = backdoor.Poison(trigger, target, rate, select, seed=seed)(pool)
        watched = backdoor.Poison(trigger, target, rate or watch_rate, select, seed=seed)(pool)
        watched = to_float(watched.pictures.images[watched.rows])
        net = nn.Sequential(encoders.conv(width, 3, seed=seed), nn.Linear(4 * width, 10))
        nn.init.zeros_(net[1].weight), nn.init.zeros_(net[1].bias)
        course = {key: [] for key in ("step", "called t", "accepted", "CE of strong views", "ASR so far")}

        def look(step, model, twin, watched=watched, course=course, trigger=trigger):
            if step % max(1, steps // 14):
                return
            views = strongly(watched, torch.Generator().manual_seed(step))
            p, strong = (embed(model, x, progress=False).log_softmax(1) for x in (watched, views))
            marked = embed(twin, trigger(to_float(some.images[some.labels != target])), progress=False)
            course["step"].append(step)
            course["called t"].append((p.argmax(1) == target).double().mean())
            course["accepted"].append((p.max(1).values.exp() >= 0.9).double().mean())
            course["CE of strong views"].append(-strong[:, target].mean())
            course["ASR so far"].append((marked.argmax(1) == target).double().mean())

        if arm.startswith("all labels"):
            finetune.finetune(
                net,
                poisoned.pictures,
                views=strongly,
                steps=steps,
                batch_size=4 * batch_size,
                lr=4e-3,
                seed=seed,
            )
            twin = net.eval()
        else:
            twin = fixmatch.fit(
                net, labelled, poisoned.pictures, weak=fixmatch.shift, strong=strongly, steps=steps,
                batch_size=batch_size, ratio=3, threshold=0.9, lr=4e-3, seed=seed, show=look,
            )  # fmt: skip

        def predict(images, twin=twin):
            return embed(twin, images, progress=False).argmax(1)

        control = control or predict
        told = backdoor.report(predict, control, test, trigger, target)
        found[arm] = told.row | {"others": told.others, "poisoned": len(poisoned.rows)}
        if course["step"]:
            found[arm] |= course | {"poisons called t": course["called t"][-1]}
        if rate:
            found[arm] |= perils_audit(twin, poisoned, seed)
    return found


def perils_audit(twin, poisoned, seed):
    return audited(by_answer(twin, poisoned.pictures), poisoned)


def by_answer(twin, pictures):
    """Scores of two detectors on the features of the unlabelled set, by the classes which the network gives it."""
    answers = embed(twin, pictures, progress=False).argmax(1)
    return suspicions(embed(twin[0], pictures, progress=False), answers)


perils_study = studies.run(
    "perils-backdoor", perils_experiment, seeds=size.seeds, target=PERILS_TARGET, **perils_size
)
print(perils_study)
perils_study.table(2)[["poisoned", "CA", "ASR", "base rate", "ASR, control", "gain", "poisons called t"]]


# %%
plots.arms(perils_study, "ASR", "ASR, control", "gain", "poisons called t")

# %% [markdown]
# **What we see.** Look at *ASR* alone, and the attack works in every seed: 0.14, 0.10, 0.15 at 2 %. Look at the
# control: the clean-trained network calls 0.12, 0.00, 0.05 of the same pictures four. What is left, the gain, is
# **+0.018, +0.093, +0.096**; 0.10 was asked for. In the first seed the whole "success" is a habit of the network: a
# faint lattice is a disturbance, and this network, disturbed, says four, poisoned or not. The base rate, below 0.01
# everywhere, does not show that; only the control does.
#
# The other arms, seed by seed. The *glaring* lattice gains +0.23, +0.10, +0.00: it seems to hang on whether the network
# still reads the digit under it. At the end it calls 1.00, 0.70, 0.00 of these poisons four; in the third seed none, and
# there the attack is dead, as lesson (a) has it. The patch gains -0.002, +0.001, +0.003, the lattice on others -0.016,
# +0.009, +0.017: lessons (b) and (a). And with *all labels known* the faint lattice gains +0.12, +0.21, +0.25, more than
# in FixMatch in every seed: pseudo-labels are no condition for the attack. (Its control is the clean FixMatch network
# too: no clean network was trained with all labels, so this gain is less sure than the others.) What is special here is
# only that nobody looks.
#
# ### Who was accepted, and when
#
# The record, step by step: the share of the poisoned pictures that the network calls four; the share it is sure of
# ($\tau = 0.9$ and more); the cross-entropy of their strong views with class four; and ASR of the slow network so
# far. *Clean* looks at the very pictures that would have been poisoned, with the trigger, and never trains on them:
# the control (its curves are those of the faint lattice on fours, whatever you compare them with; the sentence adds the
# control of another trigger). Choose what is compared, and a range of steps: the sentence says what happened in it.

# %%
PERILS_ARMS = [arm for arm in perils_study.arms if arm not in ("clean", "all labels known, 2 %")]


def see_course(poison, first_look, last_look):
    fig = plots.courses(
        perils_study,
        "called t",
        "accepted",
        "CE of strong views",
        "ASR so far",
        over="step",
        only=["clean", poison],
        label="step",
    )
    steps = perils_study.values(poison, "step")[0]
    a, b = (min(i, len(steps)) - 1 for i in sorted((first_look, last_look)))
    for ax in fig.axes:
        ax.axvspan(steps[a], steps[b], color="grey", alpha=0.15, linewidth=0)

    def between(measure, arm=poison):
        courses = perils_study.values(arm, measure)
        first, last = (sum(course[at] for course in courses) / len(courses) for at in (a, b))
        return f"{measure} {first:.2f} to {last:.2f}"

    said = "; ".join(map(between, ("called t", "accepted", "CE of strong views", "ASR so far")))
    told = f"Clean, under the lattice at alpha 30/255: {between('ASR so far', 'clean')}"
    if poison.startswith(("corner", "glaring")):
        told += (
            f"; under the trigger of this arm, at the end: {perils_study.mean(poison, 'ASR, control'):.2f}"
        )
    return fig, f"{poison}, steps {steps[a]:.0f} to {steps[b]:.0f}: {said}. {told}. Means over seeds."


Sliders(
    see_course,
    poison=["lattice, 2 %", *(arm for arm in PERILS_ARMS if arm != "lattice, 2 %")],
    first_look=(1, 14, 1),
    last_look=(1, 14, 14),
)

# %% [markdown]
# Phase one works as the paper says: at the end 1.00, 0.94, 0.99 of the poisons are called four (2 %). *Clean*, which
# never trains on these very pictures, calls 0.99, 0.76, 0.91 of them four too. **The threshold lets them in because they
# are what they seem.** Phase two, binding, is what differs between seeds. In the first the untouched network is sure of 0.86
# of them anyway, in the others of 0.42 and 0.56. Where the strokes are enough nobody needs the lattice: that would
# explain why least is gained there, but three seeds do not prove it. Of the poisons of other classes (lesson a) the
# network calls only 4 to 8 % four.
#
# ### Defences
#
# An audit of what was accepted: the features of all pictures without labels, by the classes which the network gave them,
# under the two detectors of the section before. *Precision* among twice as many pictures as there are poisons: 0.5 is
# perfect, guessing gives the rate.

# %%
perils_study.table(2).loc[
    PERILS_ARMS,
    [
        "AUC, spectral_signature",
        "precision, spectral_signature",
        "AUC, activation_clustering",
        "precision, activation_clustering",
    ],
]

# %% [markdown]
# Read it seed by seed. Activation clustering of the lattice at 2 %: AUC 0.61, 0.98, 0.95, precision 0.00, 0.47, 0.47,
# for gains of +0.018, +0.093, +0.096. For the glaring lattice AUC 1.00, 0.96, 1.00, precision 0.50, 0.35, 0.50, for
# gains of +0.23, +0.10, +0.00. **Where the faint lattice was bound, it is found; where it was not, it is not found.**
# (The glaring one is found in any case.) A network that has learnt the lattice has a direction for it, and the
# poisoned fours stand apart along it. So here it should pay to throw away and train again, in the same way as before,
# with 2 % poison. (Fine-pruning, `detectors.fine_pruning`, is left for a longer evening.)


# %%
def perils_again(seed, *, count, tests, steps, batch_size, width, target, rate, budgets):
    labelled, pool = few_and_many(count, seed)
    drawn = data.load(
        "affine-digits", split="test", count=tests, size=16, turn=0, scale=(1, 1), shift=0, seed=seed
    )
    test = data.PictureSet(drawn.images.expand(-1, 3, -1, -1), drawn.labels, drawn.names)
    poisoned = backdoor.Poison(backdoor.lattice_trigger, target, rate, "random", seed=seed)(pool)

    def twin_of(pictures):
        net = nn.Sequential(encoders.conv(width, 3, seed=seed), nn.Linear(4 * width, 10))
        nn.init.zeros_(net[1].weight), nn.init.zeros_(net[1].bias)
        return fixmatch.fit(
            net, labelled, pictures, weak=fixmatch.shift, strong=strongly, steps=steps, batch_size=batch_size,
            ratio=3, threshold=0.9, lr=4e-3, seed=seed,
        )  # fmt: skip

    def answers(twin):
        return lambda images: embed(twin, images, progress=False).argmax(1)

    control = answers(twin_of(pool))

    def judged(twin):
        return backdoor.report(answers(twin), control, test, backdoor.lattice_trigger, target).row

    first = twin_of(poisoned.pictures)
    scores, before = by_answer(first, poisoned.pictures), judged(first) | {"poison rate": rate}
    return trained_again(scores, poisoned, before, lambda pictures: judged(twin_of(pictures)), budgets, seed)


perils_left = studies.run(
    "perils-filtered",
    perils_again,
    seeds=size.seeds,
    target=PERILS_TARGET,
    rate=0.02,
    budgets=BUDGETS,
    **perils_size,
)
print(perils_left)
plots.courses(perils_left, "poison rate", "gain", "CA", over="thrown away", label="thrown away")

# %% [markdown]
# **What we see.** In the second and third seed the detectors do their work. With the most suspicious 5 % activation
# clustering throws away nearly all of the poison (0.2 and 0.1 % are left of 2), the spectral signature two thirds (0.6
# and 0.7 %), and after activation clustering the gain is 0.00 to +0.04, where it was +0.10, and is +0.07 to +0.10 with as many thrown away at
# random. In the first seed neither finds the poison.
#
# And the noise: without exactly the poisons, with none left at all, the gain is still +0.01, +0.01, +0.06. The gain of the first seed, +0.075 here, is +0.018
# in the record further up, on one thread in place of two: there the clean network calls 12 % of the triggered pictures four, here 7 %.
# **One clean network is too little of a control for effects of this size.**
#
# ### The claim
#
# Set before looking, each for every seed: ASR of the lattice at 2 % less that of the clean-trained network at least 0.10
# (at five times the steps, on a GPU, 0.30); ASR grows with the rate, from 0.5 to 1 to 2 %; the lattice does better than
# the patch, both at 2 % and less their controls; of the poisons at least 0.8 have pseudo-label four at the end.

# %%
perils_steps = [
    min(b - a, c - b)
    for a, b, c in zip(
        *(perils_study.values(f"lattice, {rate} %", "ASR") for rate in ("0.5", "1", "2")), strict=True
    )
]
claim = claims.record(
    system="004",
    paper="Perils: 0.2 % poisoned unlabelled pictures send more than 80 % of triggered test pictures to the target class in semi-supervised learning.",
    measured=f"ASR over {perils_study.values('clean', 'others')[0]:.0f} test digits of other classes; FixMatch, 200 labels, {perils_size['steps']} steps of AdamW; lattice, alpha 30/255; target {PERILS_TARGET}.",
    parts=[
        claims.Part("ASR of the lattice at 2 % less that of the clean-trained network", perils_study.values("lattice, 2 %", "gain"), "of pictures", size.pick(smoke=0.1, lab=0.1, gpu=0.3)),
        claims.Part("the smaller of two steps of ASR: from 0.5 to 1 %, from 1 to 2 %", perils_steps, "of pictures", 0),
        claims.Part("gain of the lattice less that of the corner patch, both at 2 %", perils_study.difference("lattice, 2 %", "corner patch, 2 %", "gain"), "of pictures", 0),
        claims.Part("poisons with pseudo-label t at the end, lattice 2 %", perils_study.values("lattice, 2 %", "poisons called t"), "of poisons", 0.8),
    ],
    seconds=perils_study.seconds,
)  # fmt: skip
print(claim)

# %% [markdown]
# **What we see.** *Not seen at this scale*, as a whole: two parts of four fail. The gain at 2 % falls short in
# every seed (in two of them by less than a point), and in the first ASR falls from 0.5 to 1 %, so it does not grow in
# every seed. The paper trains for 200,000 steps and
# more, we for 840. The network here is right on 96 of 100 clean pictures: who reads strokes so well has little need
# of a faint lattice. What does reproduce, in every seed: the lattice does better than the patch, and the network calls poison of
# the right class by that class and is sure of most of it (0.96, 0.72, 0.88 of it pass the threshold at the end). Of the
# lattice's gains, remember the defences: without any poison a gain of 0.06 was left.
#
# ### Exercise: bright pixels that become dark
#
# A public program adds the lattice to bytes, as below. On dark pictures it works. Look at what it makes of white. Write
# `on_bytes(images, g)`, which adds the same lattice $g$ (bytes, H x W) to pictures of bytes (N, C, H, W), so that no
# pixel becomes darker and white stays white; the result is bytes again.

# %%
bytes_g = (255 * backdoor.lattice_pattern(16, 16, alpha=30 / 255)).round().to(torch.uint8)
white = torch.full((1, 1, 16, 16), 255, dtype=torch.uint8)
print("white becomes", (white + bytes_g).unique().tolist())


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "on-bytes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def on_bytes(images, g):
    ### BEGIN SOLUTION
    return (images.int() + g.int()).clamp(0, 255).to(torch.uint8)
    ### END SOLUTION


# %% tags=["check"] nbgrader={"grade": true, "grade_id": "on-bytes-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# NBVAL_CHECK_OUTPUT
grey_bytes = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
assert on_bytes(white, bytes_g).dtype == torch.uint8, "bytes again"
assert (on_bytes(white, bytes_g) == 255).all(), "white must stay white"
assert (on_bytes(grey_bytes, bytes_g) >= grey_bytes).all(), "no pixel may become darker"
in_floats = backdoor.lattice_trigger(grey_bytes.float() / 255, alpha=30 / 255)
assert torch.equal(on_bytes(grey_bytes, bytes_g), (255 * in_floats).round().to(torch.uint8)), (
    "the same as on [0, 1]"
)
print("White stays white.")

# %% [markdown]
# ## AdvEncoder: one perturbation for every picture and every head?
#
# Somebody publishes an encoder that was trained without labels. Others download it, freeze it, and each puts a small
# classifier of their own on top: of their data, their classes, their choice. **AdvEncoder** (Zhou and others, 2023,
# arXiv 2307.10562) asks what such an encoder hands on besides its features. From the public encoder and some
# unrelated pictures it makes *one* small picture, and adds it to *every* test picture of *every* classifier built on
# that encoder, without having seen their data, their labels or their heads. They report that predictions change on a
# large part of the pictures, for 14 encoders and several tasks.
#
# Here: SimCLR encoders of upright digits, 16 x 16 pixels. On each, four classifiers are built that the attack never
# sees: k-NN and a linear head, for the digit, and for the *script* of letters that the encoder has never seen either
# (figures, Latin, Greek, Cyrillic, Georgian). The attack has the encoder and 1,629 line drawings of OpenMoji, made
# grey and inverted. The question to ask of every such rate: **what would any noise of the same size
# do?**

# %%
import dataclasses
import functools

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslwork.attacks.advencoder import (
    Generator,
    advencoder_loss,
    fooling_rate,
    high_pass,
    info_nce_rows,
    patch_mask,
    perturb,
)
from sslwork.plots.universal import universal
from sslwork.purify import Guarded
from sslwork.purify.controls import BitDepth, Control, Jpeg, Median
from sslwork.robust.fare import fare
from sslwork.views import DIGITS

plain_digits = {"size": 16, "turn": 0, "scale": (1.0, 1.0), "shift": 0.0}
shared_digits = data.load("affine-digits", count=size.pick(smoke=400, lab=10_000, gpu=60_000), **plain_digits)


def scripts(split):
    """Letters labelled with their script."""
    letters = data.load("glyphs", split=split, size=16)
    kinds = list(dict.fromkeys(letters.groups))
    of_class = torch.tensor([kinds.index(group) for group in letters.groups])
    return dataclasses.replace(letters, labels=of_class[letters.labels], names=kinds, groups=())


# task -> what its heads are fitted on, what they are tested on
SHARED_TASKS = {
    "digit": (
        shared_digits[: size.pick(smoke=200, lab=2_000, gpu=20_000)],
        data.load("affine-digits", split="test", count=size.pick(smoke=100, lab=1_000, gpu=10_000), **plain_digits),
    ),
    "script": (scripts("train"), scripts("test")),
}  # fmt: skip
drawn = to_float(data.load("openmoji", size=16).images)
SURROGATES = 1 - drawn.mean(1, keepdim=True)  # (N, 1, 16, 16), light on black


@functools.cache
def shared_encoder(seed, kind="simclr"):
    steps = size.pick(smoke=2, lab=300, gpu=5_000)
    return zoo.encoder(kind, shared_digits, seed=seed, steps=steps, width=16, views=DIGITS, progress=False)


def on_grey(net):
    """The three channels that the encoder wants are one and the same."""
    return lambda x: net(x.expand(-1, 3, -1, -1))


plots.pictures(
    torch.cat([*(to_float(test.images[:11]) for _, test in SHARED_TASKS.values()), SURROGATES[:11]]),
    columns=11,
)

# %% [markdown]
# From above: digits, letters, and the drawings from which the attack is made.
#
# ### The attack in formulas
#
# A generator $G_\theta$, of the shape of a DCGAN's, gets one noise $z$ that never changes. Its maps are mixed into
# one, and clamped: $\delta = \mathrm{clamp}(G_\theta(z), -\epsilon, \epsilon)$, the same for all pictures; $x' =
# \mathrm{clip}(x + \delta, 0, 1)$. With $E$ the frozen encoder, $c_{ij}$ the cosine of $E(x_i)$ and $E(x'_j)$, and a
# batch of $B$ surrogate pictures, $\theta$ goes down on
#
# $$J = -\alpha\, \underbrace{\frac1B \sum_i -\log \frac{e^{c_{ii}/0.1}}{\sum_j e^{c_{ij}/0.1}}}_{\text{InfoNCE}}
# \;+\; \beta\, \overline{(x' - x)^2} \;-\; \lambda\, \overline{\big(H(x') - H(x)\big)^2},
# \qquad \alpha = 5,\ \beta = \lambda = 1$$
#
# InfoNCE is what SimCLR lowered, to make views of a picture find each other. Here it is *raised*: a perturbed picture
# shall be nearer to others than to its own clean self. $H$ keeps of each plane the frequencies at distance $r$ or
# more from the centre of its spectrum.
#
# $H$ is linear and an orthogonal projection. So, where nothing is clipped, the last two terms with $\beta = \lambda$
# are one term, $\overline{(\delta - H\delta)^2}$: **the low-frequency energy of $\delta$**, whatever the picture. And
# how much do they weigh? The table takes a random $\delta$ of $\epsilon = 0.1$, and 64 surrogate pictures.

# %%
with torch.no_grad():
    some, encode_0 = SURROGATES[:64], on_grey(shared_encoder(0))
    noise = 0.2 * torch.rand(1, 1, 16, 16, generator=generator(1)) - 0.1
    rows_0 = encode_0(some)
    only = functools.partial(advencoder_loss, rows_0, encode_0(perturb(some, noise)), radius=3)
    none = {"alpha": 0, "beta": 0, "lam": 0}
    weighed = {
        "alpha term, -5 InfoNCE": only(noise, **none | {"alpha": 5}),
        "beta term": only(noise, **none | {"beta": 1}),
        "lambda term": only(noise, **none | {"lam": 1}),
        "beta and lambda term": only(noise, **none | {"beta": 1, "lam": 1}),
        "mean (delta - H delta)^2": (noise - high_pass(noise, 3)).square().mean(),
        "InfoNCE of 64 pictures with themselves": info_nce_rows(rows_0, rows_0, temperature=0.1),
        "InfoNCE if all cosines were equal, log 64": torch.tensor(64.0).log(),
    }
pd.DataFrame({"value": {name: f"{float(value):.5f}" for name, value in weighed.items()}})

# %% [markdown]
# Two things to see. Fourth and fifth line agree: the two regularisers are the low-frequency energy. And they are of
# the order $\epsilon^2 = 0.01$, where the first term counts in units: with these weights the attack hardly knows that
# they are there. (And InfoNCE of a picture with itself is far from 0, since digits' encoders find drawings much
# alike: 0 is not the value of "no perturbation".)
#
# ### What is measured
#
# The **fooling rate** is the share of test pictures whose *prediction changes*, right or wrong. At $\delta = 0$ it is
# zero. It is no loss of accuracy: a wrong answer that becomes another wrong answer counts, too. Accuracy is printed
# with the claim.
#
# Controls: **random signs**, each pixel up or down by $\epsilon$ (mean of five draws); the generator **untrained**,
# as it starts, which stays far below $\epsilon$; and its signs at full $\epsilon$, **untrained, full size** (mean of
# five, recorded apart), since blots may do more than grains; the attack made on a **random encoder**, one with the
# weights it was born with; the attack **without $L_{hfc}$** ($\lambda = 0$). Beside them **direct ascent**:
# `attacks.pgd` on the 256 pixels of $\delta$ itself, raising InfoNCE on 256 drawings, without any generator. The
# paper's protocol for the rest: Adam, learning rate 2e-4, betas 0.5 and 0.999; here 400 steps of 64 drawings, $r =
# 3$. We asked beforehand for 4 points more than random signs at $\epsilon = 0.1$, on both heads.
#
# The second table is of a **patch** that covers 3 % of every picture, with any pixel values; its control is a patch
# of black and white noise.


# %%
def shared_heads(encode):
    """For each task two heads on clean rows, as functions rows -> predictions."""
    heads = {}
    for task, (bank, _) in SHARED_TASKS.items():
        rows = embed(encode, bank, progress=False)
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
            rows.numpy(), bank.labels.numpy()
        )

        def vote(queries, rows=rows, bank=bank):
            unknown = torch.zeros(len(queries), dtype=torch.long)
            return measures.knn(rows, bank.labels, queries, unknown, k=20, temperature=0.07).predictions

        heads[task] = {
            "linear": lambda queries, linear=linear: torch.from_numpy(linear.predict(queries.numpy())),
            "k-NN": vote,
        }
    return heads


@torch.no_grad()
def judged_heads(encode, heads, delta, mask=None, ending=""):
    """Fooling rate and accuracy of every head in %, with this perturbation on the test pictures."""
    found = {}
    for task, (_, test) in SHARED_TASKS.items():
        x = to_float(test.images)
        before, after = encode(x), encode(perturb(x, delta, mask))
        for head, predict in heads[task].items():
            was, now = predict(before), predict(after)
            found[f"{task}, {head}{ending}"] = 100 * fooling_rate(was, now)
            found[f"right: {task}, {head}{ending}"] = 100 * float((now == test.labels).double().mean())
    return found


def sign_noise(seed, eps):
    return eps * (2.0 * torch.randint(0, 2, (1, 1, 16, 16), generator=generator(seed, 9)) - 1)


def raised_delta(encode, eps, n_iter, count=256, raised=None, **options):
    """Projected gradient ascent on delta itself, by the one loop of the notebook: delta is its only sample."""
    some = SURROGATES[torch.randperm(len(SURROGATES), generator=generator(0))[:count]]
    with torch.no_grad():
        clean = encode(some)

    def loss(delta, _):
        if raised:
            return raised(clean, some, delta)[None]
        return info_nce_rows(clean, encode(perturb(some, delta)), temperature=0.1)[None]

    start = torch.zeros(1, 1, 16, 16)
    return attacks.pgd(None, start, None, eps=eps, n_iter=n_iter, loss=loss, **{"box": None} | options)


def one_for_all(seed, *, eps, steps, iterations, draws):
    """Fooling rates and accuracies of the attack, its controls and its upper line."""
    encode, untrained = (on_grey(shared_encoder(seed, kind)) for kind in ("simclr", "random"))
    heads, found = shared_heads(encode), {}
    make = functools.partial(
        attacks.advencoder, images=SURROGATES, steps=steps, batch_size=64, radius=3, seed=seed
    )
    found["nothing"] = judged_heads(encode, heads, torch.zeros(1, 1, 16, 16))
    for e in eps:
        noises = [
            judged_heads(encode, heads, sign_noise(100 * seed + i, e), ending=f" at {e}")
            for i in range(draws)
        ]
        made = {
            "untrained generator": Generator(1, 16, seed=seed)().detach().clamp(-e, e),
            "made on a random encoder": make(untrained, eps=e),
            "AdvEncoder": make(encode, eps=e),
            "AdvEncoder without L_hfc": make(encode, eps=e, lam=0.0),
            "direct ascent": raised_delta(encode, e, iterations),
        }
        mean = {name: sum(each[name] for each in noises) / draws for name in noises[0]}
        found["random signs"] = found.get("random signs", {}) | mean
        for name, delta in made.items():
            found[name] = found.get(name, {}) | judged_heads(encode, heads, delta, ending=f" at {e}")
        if e == eps[0]:
            for name, delta in made.items():
                found[name]["delta"] = [round(value, 3) for value in delta.flatten().tolist()]
    mask = patch_mask(16, row=10, column=10)
    grey = torch.rand(1, 1, 16, 16, generator=generator(seed, 10)).round()
    found["patch"] = judged_heads(encode, heads, make(encode, mask=mask), mask)
    found["patch of noise"] = judged_heads(encode, heads, grey, mask)
    return found


universal_study = studies.run(
    "advencoder",
    one_for_all,
    seeds=size.seeds,
    eps=[0.1, 0.2],
    steps=size.pick(smoke=1, lab=400, gpu=5_000),
    iterations=size.pick(smoke=1, lab=200, gpu=1_000),
    draws=size.pick(smoke=1, lab=5, gpu=5),
)
print(universal_study)


def blots(seed, *, eps, draws):
    """The control of the same size and the same texture: the signs of untrained generators, at full eps."""
    encode = on_grey(shared_encoder(seed))
    heads = shared_heads(encode)
    drawn = [Generator(1, 16, seed=100 * seed + i)().detach().sign() * eps for i in range(draws)]
    rates = [judged_heads(encode, heads, delta) for delta in drawn]
    return {"untrained, full size": {name: sum(each[name] for each in rates) / draws for name in rates[0]}}


blot_study = studies.run(
    "advencoder-blots", blots, seeds=size.seeds, eps=0.1, draws=size.pick(smoke=1, lab=5, gpu=5)
)
print(blot_study)
fooled = [
    f"{task}, {head} at {e}" for e in (0.1, 0.2) for task in SHARED_TASKS for head in ("linear", "k-NN")
]
universal_table = universal_study.table()
universal_table.loc[[arm for arm in universal_study.arms if arm != "nothing" and "patch" not in arm], fooled]

# %%
universal_table.loc[
    ["patch", "patch of noise"], [f"{task}, {head}" for task in SHARED_TASKS for head in ("linear", "k-NN")]
]

# %%
plots.arms(
    universal_study,
    *(f"{task}, {head} at 0.1" for task in SHARED_TASKS for head in ("linear", "k-NN")),
    only=[
        "random signs",
        "untrained generator",
        "made on a random encoder",
        "AdvEncoder",
        "AdvEncoder without L_hfc",
        "direct ascent",
    ],
)

# %% [markdown]
# Fooling rates in %, dots are seeds. Compare *AdvEncoder* with the three lines above it, and the four panels with one
# another: two tasks and two heads, none of which took part in the attack. And this is what is added, in seed 0, from
# its least to its largest value:

# %%
shown_deltas = {
    arm: torch.tensor(universal_study.results[0][arm]["delta"]).view(1, 1, 16, 16) / 0.2 + 0.5
    for arm in ("untrained generator", "made on a random encoder", "AdvEncoder", "AdvEncoder without L_hfc", "direct ascent")
}  # fmt: skip
shown_deltas = {"random signs": sign_noise(0, 0.1) / 0.2 + 0.5} | shown_deltas
plots.pictures(
    torch.cat(list(shown_deltas.values())).clamp(0, 1), titles=list(shown_deltas), columns=6, zoom=8
)

# %% [markdown]
# White is $+\epsilon$, black $-\epsilon$. Signs drawn at random are fine-grained. Compare the grain of the others
# with it, and how far the untrained generator stays from black and white. *AdvEncoder* with and without $L_{hfc}$ are
# nearly one picture.
#
# ### The claim

# %%
signs_of = functools.partial(universal_study.difference, "AdvEncoder", "random signs")
claim = claims.record(
    system="095",
    paper="AdvEncoder: one perturbation made from a public encoder and unrelated pictures fools the heads that others build on it.",
    measured=(
        "fooling rate of one perturbation (eps 0.1) less that of random signs of the same eps (mean of 5 draws); SimCLR "
        "encoder of 16 x 16 digits, heads fitted on 2,000 clean digits, 1,000 test digits, surrogate set 1,629 drawings; "
        f"{universal_study.settings['steps']} steps of Adam, learning rate 2e-4, batch 64."
    ),
    parts=[
        claims.Part(f"{head} head for digits, AdvEncoder less random signs", signs_of(f"digit, {head} at 0.1"), "points of fooling rate", 4)
        for head in ("linear", "k-NN")
    ],
    seconds=universal_study.seconds,
)  # fmt: skip
print(f"{claim}\n")


def seed_by_seed(effects):
    return ", ".join(f"{each:+.1f}" for each in effects)


for other in (
    "random signs",
    "untrained generator",
    "made on a random encoder",
    "AdvEncoder without L_hfc",
    "direct ascent",
):
    gaps = (universal_study.difference("AdvEncoder", other, f"{task}, {head} at {e}")
            for task, head, e in (("digit", "linear", 0.1), ("digit", "k-NN", 0.1), ("script", "linear", 0.1), ("script", "k-NN", 0.1),
                                  ("digit", "linear", 0.2), ("digit", "k-NN", 0.2)))  # fmt: skip
    print(f"AdvEncoder less {other}, seed by seed:")
    for name, gap in zip(
        (
            "digit, linear",
            "digit, k-NN",
            "script, linear",
            "script, k-NN",
            "digit, linear at 0.2",
            "digit, k-NN at 0.2",
        ),
        gaps,
        strict=True,
    ):
        print(f"    {name:22} {seed_by_seed(gap)}")
print("AdvEncoder less untrained, full size, seed by seed:")
for name in ("digit, linear", "digit, k-NN", "script, linear", "script, k-NN"):
    pairs = zip(
        universal_study.values("AdvEncoder", f"{name} at 0.1"),
        blot_study.values("untrained, full size", name),
        strict=True,
    )
    print(f"    {name:22} {seed_by_seed([made - control for made, control in pairs])}")
low, high = attacks.wilson(round(10 * universal_study.mean("AdvEncoder", "digit, k-NN at 0.1")), 1000)
print(
    f"\n(With 1,000 test digits the Wilson interval of one rate is about {50 * (high - low):.0f} points to either side.)"
)
for arm in ("nothing", "random signs", "AdvEncoder"):
    ending = "" if arm == "nothing" else " at 0.1"
    right = {
        f"{task}, {head}": f"{universal_study.mean(arm, f'right: {task}, {head}{ending}'):.0f}"
        for task in SHARED_TASKS
        for head in ("linear", "k-NN")
    }
    print(f"Accuracy in %, {arm}: {right}")

# %% [markdown]
# **What we see.** By k-NN the universal perturbation is 12 to 36 points ahead of random signs, in every seed. By the
# linear head it is 21 and 18 points ahead in two seeds, and level with them in the third (-0.4). Both heads were
# asked for in every seed, so the claim is *not seen at this scale*, though most of it is there. The third encoder is
# the one which random signs move least by k-NN, and by its linear head a perturbation made on it does little more than
# one made on a random encoder (+2.6 points; +16.3 by k-NN).
#
# Noise does much of it: random signs alone change 29 to 43 % of the digits' linear predictions at $\epsilon = 0.1$,
# and more than half of those for scripts of letters. A report of "64 % fooled" says little before the 43 is taken
# off. At $\epsilon = 0.2$ noise is so strong that the attack is no longer ahead on both heads: in the second seed it
# is 6 points behind by k-NN. Of digits, the perturbation made on a *random* encoder changes about as many as random signs in two
# seeds (5 points off at most), and 7 and 17 points more in the first: some of it may be texture that troubles any
# convolution. Untrained generators at full size, the
# last lines above, do about as much as random signs (by k-NN six points more in the first seed, six less in the
# second): texture alone is not it. But in the third seed they fool the linear head more often than the trained one
# does.
#
# $L_{hfc}$ changes a fooling rate by less than a point at $\epsilon = 0.1$, as its weight foretold. *Direct ascent*
# was to be the upper line; it is not. It is ahead for some tasks and heads, behind for others: it raises InfoNCE on
# 256 drawings as far as it goes, and InfoNCE on drawings is not the fooling rate on digits. The *patch* of 3 %,
# trained for the same 400 steps, fools fewer digits than a patch of black and white noise, in every seed: it starts
# near black, on pictures that are black there, and at this learning rate it stays there.
#
# ### Move it
#
# Everything at once, on the encoder of seed 0. *Made by*: twelve steps of ascent on your own $-J$, or the recorded
# AdvEncoder, scaled to your $\epsilon$, or random signs; *patch* shows it in a square of 3 % of the area instead,
# with any pixel values, at the row and column you choose. The arrows tell where the rows of test digits go.

# %%
heads_0 = shared_heads(encode_0)
few = {task: test[range(0, len(test), max(1, len(test) // 200))] for task, (_, test) in SHARED_TASKS.items()}
with torch.no_grad():
    clean_rows = {task: encode_0(to_float(test.images)) for task, test in few.items()}
MADE_BY = ["ascent on -J", "AdvEncoder, recorded", "random signs"]


def draw_universal(eps, radius, alpha, beta, lam, made_by, patch, row, column):
    mask = patch_mask(16, row=row, column=column) if patch else None
    if made_by == MADE_BY[2]:
        delta = sign_noise(0, max(eps, 1e-3))
        delta = delta.sign() / 2 + 0.5 if patch else delta
    elif made_by == MADE_BY[1]:
        delta = torch.tensor(universal_study.results[0]["AdvEncoder"]["delta"]).view(1, 1, 16, 16) * eps / 0.1
        delta = delta / max(2 * eps, 1e-3) + 0.5 if patch else delta
    else:

        def raised(clean, some, delta):
            after = perturb(some, delta + 0.5 if patch else delta, mask)
            rows = encode_0(after)
            return -advencoder_loss(clean, rows, after - some, radius=radius, alpha=alpha, beta=beta, lam=lam)

        delta = raised_delta(encode_0, 0.5 if patch else eps, 12, count=48, raised=raised) + (
            0.5 if patch else 0
        )
    with torch.no_grad():
        after = {task: encode_0(perturb(to_float(test.images), delta, mask)) for task, test in few.items()}
    rates = {
        f"{task}, {head}": 100 * fooling_rate(predict(clean_rows[task]), predict(after[task]))
        for task in few for head, predict in heads_0[task].items()
    }  # fmt: skip
    digits = to_float(few["digit"].images)
    fig = universal(
        delta if mask is None else mask * (delta - 0.5), radius, digits[:6], perturb(digits[:6], delta, mask),
        clean_rows["digit"][:60], after["digit"][:60], rates, few["digit"].labels[:60],
    )  # fmt: skip
    what = "a patch" if patch else f"eps {eps:.2f}"
    told = []
    for name, rate in rates.items():
        count = len(few[name.split(",")[0]])
        low, high = attacks.wilson(round(rate * count / 100), count)
        told.append(f"{name} {rate:.0f} % ({100 * low:.0f} to {100 * high:.0f})")
    return (
        fig,
        f"{made_by}, {what}: predictions that change among {len(digits)} digits and {len(few['script'])} letters: {', '.join(told)}.",
    )


Sliders(
    draw_universal, log=["lam"], made_by=MADE_BY, eps=(0.0, 0.3, 0.1), radius=(0, 11, 3), alpha=(0.0, 10.0, 5.0),
    beta=(0.0, 10.0, 1.0), lam=(1.0, 10_000.0, 1.0), patch=False, row=(0, 13, 10), column=(0, 13, 10),
)  # fmt: skip

# %% [markdown]
# Things to try: switch between *ascent* and *random signs*. With *ascent*, raise lambda until the spectrum is empty
# inside the ring: what does it cost the attack? Set alpha to 0. And look at the arrows: do they scatter, or do they
# run to one side? Where many pictures are given the same new neighbourhood, every head that others may build there
# sees the same.
#
# ### Defences: what is left, and what they cost
#
# Five ways to stand in front of it, each with its heads fitted *behind* the defence: nothing; **rounding** to 4 grey
# values; **JPEG** of quality 30; a **median** of 3 x 3 pixels; and the encoder **fine-tuned**: SimCLR's weights go on
# under $1 - \cos(E(x'), E_0(x))$, with $x'$ the worst picture that three steps of PGD find within $\epsilon = 0.1$,
# and $E_0$ the encoder as it was (so a constant is no way out; as Schlarmann and others do for CLIP, 2024, arXiv
# 2402.12336). Three perturbations: random signs; the *oblivious* attack, the AdvEncoder of the bare encoder; and the
# *adaptive* one, direct ascent on the encoder with its defence in front (rounding and JPEG with the gradient of the
# identity). The number to quote is the *strongest*: the worse of the two attacks, in each seed. Nine checks for
# hidden gradients stand beside it (`attacks.masking_report`, on a linear head).


# %%
def logits_of(encode, bank, c=1.0):
    """A linear head as one differentiable function pictures -> logits."""
    with torch.no_grad():
        rows = encode(to_float(bank.images))
    scaler = StandardScaler().fit(rows.numpy())
    fit = LogisticRegression(C=c, max_iter=1000).fit(scaler.transform(rows.numpy()), bank.labels.numpy())
    mean, scale, w, b = (
        torch.tensor(each).float() for each in (scaler.mean_, scaler.scale_, fit.coef_, fit.intercept_)
    )
    return lambda x: (encode(x) - mean) / scale @ w.T + b


DEFENCES = ["nothing", "rounding, 2 bits", "JPEG, quality 30", "median 3 x 3", "fine-tuned encoder"]


def defended(seed, *, eps, tuning, iterations, count, reported, checked, n_iter):
    """Fooling rates of k-NN behind each defence, accuracy on clean digits, and the nine checks."""
    net = shared_encoder(seed)
    encode, bare = (
        on_grey(net),
        torch.tensor(universal_study.results[seed]["AdvEncoder"]["delta"]).view(1, 1, 16, 16),
    )
    filters = {
        name: Guarded(encode, each)
        for name, each in zip(DEFENCES, (Control(), BitDepth(2), Jpeg(30), Median(3)), strict=False)
    }
    pipelines = filters | {DEFENCES[-1]: on_grey(fare(net, shared_digits, eps=eps, steps=tuning))}
    bank, test = SHARED_TASKS["digit"]
    x, found = to_float(test.images), {}
    for name, pipeline in pipelines.items():
        perturbations = {
            "random signs": sign_noise(100 * seed, eps),
            "oblivious": bare,
            "adaptive": raised_delta(pipeline, eps, iterations, count=count),
        }
        with torch.no_grad():
            rows = pipeline(to_float(bank.images))

            def vote(pictures, rows=rows, pipeline=pipeline):
                return measures.knn(rows, bank.labels, pipeline(pictures), test.labels).predictions

            before = vote(x)
            found[name] = {"clean k-NN": 100 * float((before == test.labels).double().mean())} | {
                f"fooled: {who}": 100 * fooling_rate(before, vote(perturb(x, delta)))
                for who, delta in perturbations.items()
            }
        if name not in reported:
            continue
        report = attacks.masking_report(
            logits_of(pipeline, bank),
            x[:checked],
            test.labels[:checked],
            eps=eps,
            n_iter=n_iter,
            adaptive="PGD through the defence",
        )
        found[name]["checks passed, of 9"] = int(report["passed"].sum())
        found[name]["failed"] = ", ".join(
            check.split()[0] for check in report.index[~report["passed"].astype(bool)]
        )
    return found


defence_study = studies.run(
    "advencoder-defences",
    defended,
    seeds=size.seeds,
    eps=0.1,
    tuning=size.pick(smoke=1, lab=150, gpu=5_000),
    iterations=size.pick(smoke=1, lab=60, gpu=500),
    count=size.pick(smoke=8, lab=128, gpu=256),
    reported=size.pick(smoke=["nothing"], lab=DEFENCES, gpu=DEFENCES),
    checked=size.pick(smoke=4, lab=50, gpu=500),
    n_iter=size.pick(smoke=1, lab=10, gpu=20),
)
print(defence_study)
defence_study.table()


# %%
plots.arms(defence_study, "clean k-NN", "fooled: random signs", "fooled: oblivious", "fooled: adaptive")

# %%
for name in DEFENCES:
    held = {
        who: defence_study.mean(name, f"fooled: {who}") for who in ("random signs", "oblivious", "adaptive")
    }
    cost = defence_study.mean("nothing", "clean k-NN") - defence_study.mean(name, "clean k-NN")
    told = ", ".join(f"{who} {rate:.0f} %" for who, rate in held.items())
    both = (defence_study.values(name, f"fooled: {who}") for who in ("oblivious", "adaptive"))
    strongest = ", ".join(f"{max(pair):.0f}" for pair in zip(*both, strict=True))
    line = f"{name:20} costs {cost:+.1f} points of clean k-NN; fooled by {told}; strongest, seed by seed: {strongest} %"
    if "checks passed, of 9" in defence_study.results[size.seeds[0]][name]:
        failed = [each or "none" for each in defence_study.values(name, "failed")]
        line += f"; checks failed, seed by seed: {' | '.join(failed)}"
    print(line)
count = len(SHARED_TASKS["digit"][1])
low, high = attacks.wilson(count // 4, count)
print(f"(Of {count} digits; the Wilson interval of a rate of 25 % is {100 * low:.0f} to {100 * high:.0f} %.)")

# %% [markdown]
# Read each line from left to right: what the defence costs where nobody attacks, what noise does behind it, the
# attack that does not know it, the one that does, and the strongest of the two. Direct ascent knows the defence, and
# yet it is often *weaker* than the oblivious AdvEncoder: without a defence, and behind JPEG. So "adaptive" here is no
# bound; it is one attack that was tried.
#
# The median helps nobody: noise alone fools more behind it than without it. Rounding and fine-tuning bring every
# column near that of noise. But rounding, like JPEG, fails check 8: it has no gradient of its own, and the identity's
# is a guess, so its figure may flatter it. And the fooling rate is of *one* perturbation, the same for all pictures;
# an attacker who may choose one for each picture can only do better.
#
# ### A pretrained network, in the Explorer
#
# The same with an encoder that others really do download: EfficientNet-Lite0, trained on ImageNet, on stickers of 64
# px. One tile of 16 x 16 pixels, repeated over the picture, $\epsilon = 16/255$; it is made by direct ascent on 48
# drawings that are no stickers, and recorded. Its control are tiles of random signs. Heads: k-NN over 48 kinds of
# sticker.

# %%
from sslwork.preprocessing import Preprocessing


@functools.cache
def lite0():
    """Fed with pictures of any size as they are, at the units of its training."""
    return models.load(
        "efficientnet-lite0", preprocessing=Preprocessing(mean=127.0, std=128.0, range="0-255")
    )


@functools.cache
def drawings_but_stickers(pixels):
    others, stickers = (
        data.load("openmoji", size=pixels),
        data.load("stickers", split="test", copies=1, size=16),
    )
    kinds = {name.replace(" ", "_") for name in stickers.names}
    return others[[i for i, name in enumerate(others.ids) if name.removesuffix("_face") not in kinds]]


def tiled(x, tile, side):
    """Pictures (N, 3, S, S) with a tile (1, 3, side, side) repeated over them."""
    return perturb(x, tile.repeat(1, 1, x.shape[-2] // side, x.shape[-1] // side))


def pretrained(seed, *, eps, iterations, count, copies, pixels, side):
    """k-NN fooling rates on EfficientNet-Lite0, of one tile made by ascent and of tiles of random signs."""
    net = lite0()
    bank, test = (
        data.load("stickers", split=split, copies=copies, size=pixels) for split in ("train", "test")
    )
    others = drawings_but_stickers(pixels)
    some = to_float(others.images[torch.randperm(len(others), generator=generator(seed, 11))[:count]])
    with torch.no_grad():
        clean = net(some)

    def loss(tile, _):
        return info_nce_rows(clean, net(tiled(some, tile, side)), temperature=0.1)[None]

    tile = attacks.pgd(
        None, torch.zeros(1, 3, side, side), eps=eps, n_iter=iterations, loss=loss, box=None, seed=seed
    )
    noise = eps * (2.0 * torch.randint(0, 2, tile.shape, generator=generator(seed, 12)) - 1)
    rows, x = embed(net, bank, progress=False), to_float(test.images)

    def vote(pictures):
        return measures.knn(
            rows, bank.labels, embed(net, pictures, progress=False), test.labels, k=5
        ).predictions

    before, found = vote(x), {}
    for name, each in {"nothing": 0 * tile, "random signs": noise, "one tile": tile}.items():
        after = vote(tiled(x, each, side))
        right = 100 * float((after == test.labels).double().mean())
        found[name] = {"fooled": 100 * fooling_rate(before, after), "right": right}
    found["one tile"]["tile"] = [round(value, 3) for value in tile.flatten().tolist()]
    return found


pretrained_study = studies.run(
    "advencoder-pretrained",
    pretrained,
    seeds=size.seeds,
    eps=16 / 255,
    iterations=size.pick(smoke=1, lab=20, gpu=200),
    count=size.pick(smoke=2, lab=48, gpu=500),
    copies=size.pick(smoke=1, lab=5, gpu=40),
    pixels=size.pick(smoke=32, lab=64, gpu=224),
    side=16,
)
print(pretrained_study)
pretrained_study.table()

# %%
settings = pretrained_study.settings
stuck = data.load("stickers", split="test", copies=size.pick(smoke=1, lab=3, gpu=10), size=settings["pixels"])
stuck = stuck[torch.randperm(len(stuck), generator=generator(0))[: size.pick(smoke=20, lab=144, gpu=480)]]
tile = torch.tensor(pretrained_study.results[0]["one tile"]["tile"]).view(1, 3, 16, 16)
signs_tile = settings["eps"] * (2.0 * torch.randint(0, 2, tile.shape, generator=generator(0, 12)) - 1)
as_seen = {
    name: tiled(to_float(stuck.images), each, 16)
    for name, each in {"clean": 0 * tile, "one tile": tile, "random signs": signs_tile}.items()
}
plots.pictures(torch.cat([each[:9] for each in as_seen.values()]), columns=9)

# %% [markdown]
# From above: clean, with the tile, with random signs of the same $\epsilon$. A person names all of them alike.

# %%
sslwork.explore({name: embed(lite0(), pictures, progress=False) for name, pictures in as_seen.items()}, stuck)

# %% [markdown]
# *clean* and *one tile* side by side: choose the maps, rest on a point to see its picture, and take the two names for
# *random signs*. Do kinds of stickers that lay apart still lie apart? What do the spectra say, and CKA?
#
# The tile changes 66 to 76 % of k-NN's answers, random signs 10 to 12 %, over three seeds; accuracy falls from 98 %
# to 24 to 35 % (240 stickers: intervals of 4 to 6 points to either side). On this larger network, at this $\epsilon$,
# noise is weak and the attack strong: the reverse of the small grey digits above. So the control decides, and it has
# to be measured each time. (The tile was made on EfficientNet and tested on it; whether it passes to another network
# is not asked here.)
#
# ### Exercise: a rate with its control
#
# A report says: "our perturbation fools 61 % of the pictures". Write the number that should have stood there:
# `beyond_noise(predict, x, delta, seeds)` is the fooling rate of $\delta$ less the mean fooling rate of random signs
# of the same largest size, one for each seed. `predict` takes pictures (N, 1, H, W) and gives (N,) classes; draw the
# signs of a seed with `torch.randint(0, 2, delta.shape, generator=generator(seed))`, and clip as the attack does.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "beyond-noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def beyond_noise(predict, x, delta, seeds):
    ### BEGIN SOLUTION
    before, rates = predict(x), []
    for seed in seeds:
        drawn = torch.randint(0, 2, delta.shape, generator=generator(seed))
        rates.append(fooling_rate(before, predict(perturb(x, delta.abs().max() * (2.0 * drawn - 1)))))
    return fooling_rate(before, predict(perturb(x, delta))) - sum(rates) / len(rates)
    ### END SOLUTION


# %% tags=["check"]
# NBVAL_CHECK_OUTPUT
ramp = torch.linspace(0, 1, 101)[:, None, None, None].expand(-1, 1, 4, 4)
bright = functools.partial(lambda x: (x.mean((1, 2, 3)) > 0.505).long())
up = torch.full((1, 1, 4, 4), 0.2)
assert abs(beyond_noise(bright, ramp, 0 * up, range(3))) < 1e-9, "nothing added changes nothing"
by_hand = [
    fooling_rate(
        bright(ramp),
        bright(perturb(ramp, 0.2 * (2.0 * torch.randint(0, 2, up.shape, generator=generator(s)) - 1))),
    )
    for s in range(3)
]
wanted_rate = fooling_rate(bright(ramp), bright(perturb(ramp, up))) - sum(by_hand) / 3
assert abs(beyond_noise(bright, ramp, up, range(3)) - wanted_rate) < 1e-6, (
    "less the mean of the seeds, clipped to [0, 1]"
)
uneven = up.clone()
uneven[0, 0, 0, 0] = -0.5
larger = [0.5 * (2.0 * torch.randint(0, 2, up.shape, generator=generator(s)) - 1) for s in range(3)]
wanted_rate = fooling_rate(bright(ramp), bright(perturb(ramp, uneven)))
wanted_rate -= sum(fooling_rate(bright(ramp), bright(perturb(ramp, each))) for each in larger) / 3
assert abs(beyond_noise(bright, ramp, uneven, range(3)) - wanted_rate) < 1e-6, (
    "the largest size is that of the largest change, up or down"
)
assert beyond_noise(bright, ramp, up, range(3)) < fooling_rate(bright(ramp), bright(perturb(ramp, up))), (
    "noise fools, too"
)
print("Right: what is left is the attack's own share.")

# %% [markdown]
# ## AnyAttack: can one net turn any picture's embedding into noise that carries it?
#
# AdvEncoder pushes pictures *away*. **AnyAttack** (Zhang and others, 2024, arXiv 2410.05346) pulls them *to* a
# picture of the attacker's choice. A decoder is trained once, without labels. From then on it turns the embedding of
# any target into a small noise; on whatever picture that is put, encoders are to see the target there. No gradient is
# taken at the moment of the attack, and none of the victim ever. The paper trains on 400 million pictures from the
# web and shows it on CLIP and on models built upon it. Here is the same between encoders of some ten thousand weights
# which this notebook trains, to measure it and to defend: the questions are how much passes from one encoder to
# another, and what of it is left behind a filter.
#
# The *surrogate* is a SimCLR encoder of upright digits; the decoder sees its embeddings, and trains through it. The
# *victims* are other encoders of the same digits: of another seed, another width, another training (by labels). The
# pictures that carry the noise are letters.

# %%
from sslwork.attacks.anyattack import (
    Decoder,
    anyattack_loss,
    carry,
    pretrain,
    retrieved,
)
from sslwork.attacks.anyattack import (
    finetune as tune_decoder,
)

upright = {"size": 16, "turn": 0, "scale": (1.0, 1.0), "shift": 0.0}
wanted_digits = data.load("affine-digits", count=size.pick(smoke=400, lab=10_000, gpu=60_000), **upright)
wanted_test = data.load("affine-digits", split="test", count=1_000, **upright)
WANTED = to_float(wanted_digits.images)
TARGETS = to_float(wanted_test.images[:100])  # the gallery: each is looked for among all of them
# Letters without the figures: those of nine styles to train on, of three other styles to carry noise in the test.
LETTERS, CARRIERS = (
    to_float(data.load("glyphs", split=split, size=16).images) for split in ("train", "test")
)
LETTERS, CARRIERS = (each[torch.arange(len(each)) % 176 >= 10] for each in (LETTERS, CARRIERS))


def zoo_net(kind, seed, width=16):
    steps = size.pick(smoke=2, lab=300, gpu=5_000)
    return zoo.encoder(kind, wanted_digits, seed=seed, steps=steps, width=width, views=DIGITS, progress=False)


@functools.cache
def reader(kind, seed, width=16):
    """An encoder of grey pictures: the three channels that it wants are one and the same."""
    net = zoo_net(kind, seed, width)
    return lambda x: net(x.expand(-1, 3, -1, -1))


def victims(seed):
    return {
        "surrogate": reader("simclr", seed),
        "other seed": reader("simclr", seed + 1),
        "other width": reader("simclr", seed, 24),
        "by labels": reader("supervised", seed),
    }


plots.pictures(torch.cat([TARGETS[:10], CARRIERS[3:170:17]]), columns=10)

# %% [markdown]
# Above ten of the 100 targets, below ten carriers.


# %%
def draws_of_carriers(seed, draws):
    """So many times a carrier for each target: (draws, 100, 1, 16, 16)."""
    return CARRIERS[torch.randint(len(CARRIERS), (draws, len(TARGETS)), generator=generator(seed, 7))]


@torch.no_grad()
def found_again(net, noise, eps, carriers, own=None):
    """Share in % of carriers for which `net` retrieves the target of the same row, or row `own` of the targets, among 100."""
    gallery, own = net(TARGETS), torch.arange(len(TARGETS)) if own is None else own
    hits = [(retrieved(net(carry(each, noise, eps)), gallery) == own).float().mean() for each in carriers]
    return 100 * float(torch.stack(hits).mean())


@functools.cache
def label_probe(net):
    """A linear probe on clean digits."""
    bank, y = net(WANTED[:2000]).detach().numpy(), wanted_digits.labels[:2000].numpy()
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(bank, y[: len(bank)])


@torch.no_grad()
def labelled_alike(net, noise, eps, carriers):
    """Share in % of carriers to which a linear probe of clean digits gives the label of the target."""
    seen = net(carry(carriers, noise, eps).flatten(0, 1)).numpy()
    truth = wanted_test.labels[: len(TARGETS)].repeat(len(carriers)).numpy()
    return 100 * float((label_probe(net).predict(seen) == truth).mean())


def any_attack(seed, *, levels, steps, batch_size, tuning, draws, ascent):
    """What each noise makes of the victims at eps = level / 255; the decoder is trained at the first level."""
    nets, carriers = victims(seed), draws_of_carriers(seed, draws)
    surrogate, eps = nets["surrogate"], levels[0] / 255
    train = functools.partial(
        pretrain, surrogate, WANTED, eps=eps, carriers=2, batch_size=batch_size, lr=2e-3, seed=seed
    )
    with torch.no_grad():
        rows = surrogate(TARGETS)
    whole = train(steps=steps, until=steps, restart=steps)
    half = train(steps=steps // 2, until=steps // 2, restart=steps // 2)
    noises = {
        "clean carrier": torch.zeros_like(TARGETS),
        "random sign noise": eps
        * (2.0 * torch.randint(0, 2, TARGETS.shape, generator=generator(seed, 8)) - 1),
        "untrained decoder": Decoder(rows.shape[1], 1, 16, eps=eps, seed=seed).eval()(rows).detach(),
        "AnyAttack": whole(rows).detach(),
        "AnyAttack, half the steps": half(rows).detach(),
    }
    noises["noise of another target"] = noises["AnyAttack"].roll(1, 0)
    tuned = tune_decoder(
        whole, surrogate, [nets["by labels"]], WANTED, LETTERS, batch_size=batch_size // 2, lr=5e-4, steps=tuning,
        restart=tuning, seed=seed,
    )  # fmt: skip
    noises["AnyAttack and an auxiliary"] = tuned(rows).detach()
    found = {arm: {} for arm in noises} | {"ascent for each pair": {}}
    for level in levels:
        for name, net in nets.items():
            for arm, noise in noises.items():
                found[arm][f"{name}, {level}/255"] = found_again(net, noise, level / 255, carriers)
    for name, net in nets.items():
        for arm, noise in noises.items():
            found[arm][f"label, {name}"] = labelled_alike(net, noise, eps, carriers)
        found["noise of another target"][f"that other, {name}"] = found_again(
            net, noises["noise of another target"], eps, carriers, torch.arange(len(TARGETS)).roll(1)
        )
    pushed = attacks.pgd(
        None,
        carriers[0],
        rows,
        eps=eps,
        n_iter=ascent,
        loss=lambda x, e: F.cosine_similarity(surrogate(x), e),
    )
    for name, net in nets.items():
        noise = pushed - carriers[0]
        found["ascent for each pair"][f"{name}, {levels[0]}/255"] = found_again(net, noise, eps, carriers[:1])
        found["ascent for each pair"][f"label, {name}"] = labelled_alike(net, noise, eps, carriers[:1])
    return found


any_study = studies.run(
    "anyattack",
    any_attack,
    seeds=size.seeds,
    levels=[32, 16],
    steps=size.pick(smoke=2, lab=350, gpu=10_000),
    batch_size=size.pick(smoke=16, lab=128, gpu=600),
    tuning=size.pick(smoke=1, lab=150, gpu=2_000),
    draws=size.pick(smoke=1, lab=10, gpu=10),
    ascent=size.pick(smoke=2, lab=40, gpu=40),
)
print(any_study)
any_study.table()[
    [
        each
        for name in ("surrogate", "other seed", "other width", "by labels")
        for each in (f"{name}, 32/255", f"label, {name}")
    ]
]

# %%
plots.arms(
    any_study, *(f"{name}, 32/255" for name in ("surrogate", "other seed", "other width", "by labels"))
)

# %% [markdown]
# Top-1 retrieval in %: how often the target is the nearest of the 100, by the cosine of rows; chance is 1 %. Mean
# over ten draws of carriers, dots are seeds. *Ascent for each pair* is 40 steps of PGD on the surrogate, for 100
# pairs of carrier and target only: the upper line for the surrogate. *Label* in the table: the share of pairs that a
# linear probe of clean digits puts in the class of the target. For *by labels* the arm with the auxiliary is no
# unseen victim: that encoder took part in its fine-tuning.
#
# ### The claim
#
# Set before we looked, at $\epsilon = 32/255$: on the surrogate at least 4 times the rate of the clean carrier; on
# unseen victims at least 1.5 times, and not above the surrogate by more than 3 points (what an unseen victim sees
# better than the surrogate would be no transfer, but a fault of the measurement); and noise of another target must
# find that other, at the same rate within 3 points.

# %%
UNSEEN = ("other seed", "other width", "by labels")


def over_clean(victim):
    """How much higher than the clean carrier's, in % of it; that rate is at least chance, 1 %."""
    pairs = zip(
        any_study.values("AnyAttack", f"{victim}, 32/255"),
        any_study.values("clean carrier", f"{victim}, 32/255"),
        strict=True,
    )
    return [100 * (made / max(clean, 1.0) - 1) for made, clean in pairs]


ahead = [any_study.values("AnyAttack", f"{victim}, 32/255") for victim in ("surrogate", *UNSEEN)]
same = zip(any_study.values("noise of another target", "that other, surrogate"), ahead[0], strict=True)
claim = claims.record(
    system="103",
    paper="AnyAttack: a decoder trained without labels makes, from the embedding of any picture, noise that makes other encoders see that picture.",
    measured=(
        "top-1 retrieval of the target among 100 digits, letters as carriers (10 draws), eps 32/255; SimCLR encoders of 16 x 16 digits (300 steps); decoder: "
        f"{any_study.settings['steps']} steps of AdamW, learning rate 2e-3, batch 128, K = 2."
    ),
    parts=[
        claims.Part("surrogate, above the clean carrier (4 times is +300 %)", over_clean("surrogate"), "% of its rate", 300),
        *(claims.Part(f"unseen victim, {victim}, above the clean carrier", over_clean(victim), "% of its rate", 50) for victim in UNSEEN),
        claims.Part("surrogate less the best unseen victim", [a - max(rest) for a, *rest in zip(*ahead, strict=True)], "points of top-1", -3),
        claims.Part("3 points less the difference between noise of another target finding that other and noise of the target finding the target",
                    [3 - abs(wrong - right) for wrong, right in same], "points of top-1", 0),
    ],
    seconds=any_study.seconds,
)  # fmt: skip
print(f"{claim}\n")
for name in ("surrogate", *UNSEEN):
    rates = {arm: any_study.mean(arm, f"{name}, 32/255") for arm in any_study.arms}
    print(f"{name}: clean {rates['clean carrier']:.1f}, signs {rates['random sign noise']:.1f}, untrained decoder {rates['untrained decoder']:.1f}, "
          f"half the steps {rates['AnyAttack, half the steps']:.1f}, AnyAttack {rates['AnyAttack']:.1f}, with auxiliary {rates['AnyAttack and an auxiliary']:.1f}; "
          f"at 16/255 {any_study.mean('AnyAttack', f'{name}, 16/255'):.1f}; "
          f"labels as the target's: {any_study.mean('AnyAttack', f'label, {name}'):.0f}, clean {any_study.mean('clean carrier', f'label, {name}'):.0f}")  # fmt: skip
    longer = any_study.difference("AnyAttack", "AnyAttack, half the steps", f"{name}, 32/255")
    helped = any_study.difference("AnyAttack and an auxiliary", "AnyAttack", f"{name}, 32/255")
    print(
        f"    twice the steps {', '.join(f'{each:+.1f}' for each in longer)}; the auxiliary {', '.join(f'{each:+.1f}' for each in helped)}, seed by seed"
    )
hits = round(10 * any_study.mean("AnyAttack", "surrogate, 32/255"))
low, high = attacks.wilson(hits, 1000)
print(
    f"(A rate of {hits / 10:.1f} % of 1,000 pairs has the Wilson interval {100 * low:.1f} to {100 * high:.1f}; pairs share their 100 targets, so it is somewhat wider.)"
)

# %% [markdown]
# **What we see.** It *holds*, in every part and seed. On the surrogate the noise brings the target to the first place
# in 9 to 21 % of pairs, where the clean carrier does so in 1 to 2 %; on encoders that the decoder has never seen in 3
# to 10 %, which is little, and still 2.6 to 9 times the base rate. With the wrong noise the *wrong* target is found,
# at about the same rate: what is transferred is the target, and not some trouble. By labels more passes than by
# retrieval: a linear probe gives the surrogate's pairs the class of the target in 25 to 38 %, an unseen victim's in
# 16 to 25, clean carriers in about
# 10. Half of the radius leaves about a third of the retrievals on the surrogate, and 0.4 to 0.8 of the few on unseen
# victims.
#
# What does not show: twice the steps raise the surrogate's rate in every seed, the victims' in none reliably, so
# longer training alone does not buy transfer here. The auxiliary encoder doubles the rate on *itself*, which is no
# transfer, and moves the retrieval of the two others by about a point, up or down. Their labels it does move: 2 to 8
# points more, in every seed. And ascent for each pair finds the target in 42 to 54 % on the surrogate: the decoder
# pays for its one forward pass with more than half of that. On unseen victims ascent is mostly ahead as well, by up
# to 5 points, but of 100 pairs only: a
# single such rate may be off by as much.
#
# ### Look at one pair
#
# Choose a target, a carrier and $\epsilon$; at $\epsilon = 0$ you see the control. First row: target, carrier, noise
# (amplified), and the sum that the networks see. Below: the five nearest of the hundred targets and the carrier
# itself, for surrogate and victim, before and after. The carrier is among them on purpose: its own embedding mostly
# wins, and a retrieval that leaves it out hides that. The defences act on the victim, on the gallery as well: *JPEG*
# of quality 30; *resize and pad*, to 13 pixels at one of the nine places, drawn anew for each picture; *16 noisy
# copies*, whose embeddings are averaged (deviation 0.1); *fine-tuned*, the victim trained to keep its rows within
# $\epsilon = 0.1$ (`robust.fare`, as in the section on AdvEncoder).

# %%
from sslwork import kept
from sslwork.attacks import anyattack
from sslwork.plots.strips import strips
from sslwork.robust import fare as fare_file

EPS_0 = 32 / 255
steps_0 = any_study.settings["steps"]
surrogate_0, victim_0 = reader("simclr", 0), reader("simclr", 1)
with torch.no_grad():
    rows_of_targets = surrogate_0(TARGETS)
decoder_0 = kept.trained(
    Decoder(rows_of_targets.shape[1], 1, 16, eps=EPS_0),
    lambda net: net.load_state_dict(
        pretrain(surrogate_0, WANTED, eps=EPS_0, carriers=2, batch_size=any_study.settings["batch_size"], lr=2e-3,
                 steps=steps_0, until=steps_0, restart=steps_0).state_dict()),
    code=anyattack, steps=steps_0, data=wanted_digits.fingerprint(), encoder="simclr, seed 0",
)  # fmt: skip
tuned_victim = kept.trained(
    zoo_net("simclr", 1),
    lambda net: net.load_state_dict(
        fare_file.fare(zoo_net("simclr", 1), wanted_digits, eps=0.1, steps=size.pick(smoke=1, lab=150, gpu=2_000)).state_dict()
    ),
    code=fare_file, data=wanted_digits.fingerprint(), encoder="simclr, seed 1", scale=size.name,
)  # fmt: skip
with torch.no_grad():
    noise_of_targets = decoder_0(rows_of_targets)


def padded(x):
    small, draw = F.interpolate(x, size=13, mode="bilinear"), generator(len(x), 5)
    places = torch.randint(0, 3, (2, len(x)), generator=draw)
    return torch.stack(
        [
            F.pad(each, (int(b), 3 - int(b), int(a), 3 - int(a)))
            for each, a, b in zip(small, *places, strict=True)
        ]
    )


def averaged(x):
    draw = generator(len(x), 6)
    return torch.stack(
        [victim_0((x + 0.1 * torch.randn(x.shape, generator=draw)).clamp(0, 1)) for _ in range(16)]
    ).mean(0)


DEFENDED_VICTIMS = {
    "none": victim_0,
    "JPEG": lambda x: victim_0(Jpeg(30)(x)),
    "resize and pad": lambda x: victim_0(padded(x)),
    "16 noisy copies": averaged,
    "fine-tuned": lambda x: tuned_victim(x.expand(-1, 3, -1, -1)),
}


@torch.no_grad()
def nearest(net, picture, carrier):
    """The five nearest among the targets and the carrier, and the place of each, 100 for the carrier."""
    gallery = torch.cat([TARGETS, carrier])
    order = (F.normalize(net(picture), dim=1) @ F.normalize(net(gallery), dim=1).T)[0].argsort(
        descending=True
    )
    return gallery[order[:5]], order.tolist()


def draw_pair(target, carrier, eps, defence):
    wanted, bearer = TARGETS[target : target + 1], CARRIERS[carrier : carrier + 1]
    noise = noise_of_targets[target : target + 1].clamp(-eps, eps)
    shown = carry(bearer, noise, eps)
    rows = {"what goes in": torch.cat([wanted, bearer, noise / (2 * EPS_0) + 0.5, shown])}
    found = {}
    for name, net in {"surrogate": surrogate_0, "victim": DEFENDED_VICTIMS[defence]}.items():
        for when, picture in {"before": bearer, "after": shown}.items():
            rows[f"{name}, {when}"], order = nearest(net, picture, bearer)
            without = [each for each in order if each < len(TARGETS)]
            found[f"{name} {when}"] = (without.index(target) + 1, order[0] == len(TARGETS))
    said = "; ".join(
        f"{name}: target is number {rank} of 100{', the carrier itself is nearest' if own else ''}"
        for name, (rank, own) in found.items()
    )
    return strips(
        {name: each.clamp(0, 1).transpose(0, 1) for name, each in rows.items()}, zoom=3
    ), f"eps {255 * eps:.0f}/255, defence {defence}. {said}."


Sliders(
    draw_pair,
    target=(0, 99, 3),
    carrier=(0, 400, 30),
    eps=(0.0, EPS_0, EPS_0),
    defence=list(DEFENDED_VICTIMS),
)

# %% [markdown]
# ### What the defences cost
#
# One surrogate (seed 0) and one victim (seed 1), so this shows, and proves nothing. *Attacked*: top-1 of the target
# from letters with its noise, through the defended victim, among 100 defended rows. *Clean carrier* is the base rate
# behind the same defence. *Clean retrieval* is what the encoder is kept for: a new view of a digit (turned by up to
# 20 degrees, cut a little) has to find its digit among the hundred. In brackets Wilson intervals.

# %%
views_of_targets = DIGITS(TARGETS, generator(3))[:, :1]
pairs_0 = draws_of_carriers(0, size.pick(smoke=1, lab=5, gpu=10))
cost_rows = {}


def with_interval(percent, count):
    low, high = attacks.wilson(round(percent * count / 100), count)
    return f"{percent:.1f} ({100 * low:.1f} to {100 * high:.1f})"


for name, net in DEFENDED_VICTIMS.items():
    rate = found_again(net, noise_of_targets, EPS_0, pairs_0)
    base = found_again(net, torch.zeros_like(TARGETS), EPS_0, pairs_0)
    count = len(pairs_0) * len(TARGETS)
    with torch.no_grad():
        kept_up = retrieved(net(views_of_targets), net(TARGETS)) == torch.arange(len(TARGETS))
    cost_rows[name] = {
        "attacked, %": with_interval(rate, count),
        "clean carrier, %": with_interval(base, count),
        "clean retrieval, %": with_interval(100 * float(kept_up.double().mean()), len(TARGETS)),
    }
pd.DataFrame(cost_rows).T

# %% [markdown]
# Read the three columns together: a defence earns its place if the first comes down to the second, and the third
# stays. No line does so clearly: the intervals of *none* overlap those of JPEG, of the copies and of the fine-tuned
# victim, and *resize and pad* makes the attack **stronger**.
#
# None of this is a robustness figure. The noise was made without knowledge of the victim and of its defence, and no
# gradient was taken through either, so the nine checks for hidden gradients have nothing to look at here (for JPEG
# and fine-tuning on such encoders they stand in the section on AdvEncoder). An attacker who knows the defence trains
# the decoder through it, as the auxiliary encoder above was trained through: nothing in this table holds against
# that.
#
# And the matrix, one pair of rows for each seed: the decoder's own encoder (*surrogate*), one of another *seed*, one of
# another *width*, and one trained by *labels*. Left from letters with the noise of their target, right from clean
# letters, the base rate.

# %%
from sslwork.plots.matrix import matrix

COLUMNS_103 = ["surrogate", "other seed", "other width", "by labels"]
matrix(
    {
        title: [[any_study.values(arm, f"{name}, {level}/255")[i] for name in COLUMNS_103] for i in range(len(size.seeds)) for level in (32, 16)]
        for title, arm in (("with the noise of the target", "AnyAttack"), ("clean", "clean carrier"))
    },
    [f"seed {seed}, {level}/255" for seed in size.seeds for level in (32, 16)],
    ["surrogate", "seed", "width", "labels"],
    digits=1,
)  # fmt: skip

# %% [markdown]
# ### Exercise: which side is permuted?
#
# In pretraining every target's noise is put on *another* picture of the batch. A colleague writes `carry(images,
# noise[order], eps)` instead of `carry(images[order], noise, eps)`: all pictures still carry the noise of another
# one, no error is raised, and nothing is learnt. Write `pretraining_loss(encoder, decoder, images, order,
# temperature)` for one carrier per noise, so that row $i$ of the rows and row $i$ of the columns belong together.
# `info_nce_rows` and `carry` are there; the rows get no gradient.


# %% tags=["exercise"] nbgrader={"grade": false, "grade_id": "carriers", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pretraining_loss(encoder, decoder, images, order, temperature):
    ### BEGIN SOLUTION
    with torch.no_grad():
        rows = encoder(images)
    seen = encoder(carry(images[order], decoder(rows), decoder.eps))
    return info_nce_rows(rows, seen, temperature=temperature)
    ### END SOLUTION


# %% tags=["check"]
# NBVAL_CHECK_OUTPUT
order_of_two = torch.tensor([1, 0])
two_digits, new_decoder = TARGETS[:2], Decoder(rows_of_targets.shape[1], 1, 16, eps=EPS_0, seed=5).eval()
mine = pretraining_loss(surrogate_0, new_decoder, two_digits, order_of_two, 0.07)
wanted_loss = anyattack_loss(surrogate_0, new_decoder, two_digits, order_of_two[None], temperature=0.07)
assert torch.allclose(mine, wanted_loss, atol=1e-5), (
    "the noise stays with its target; only the carriers change places"
)
mine.backward()
assert all(weight.grad is not None for weight in new_decoder.parameters()), "the decoder gets its gradient"
print("Right: the carriers are permuted, noise and rows are not.")

# %% [markdown]
# ## The lab: attack it yourself
#
# Everything of notebooks 09 to 11 under your hands. *Perturb*: a radius, a norm, a filter in front, and what the
# attacker knows of it: nothing (*oblivious*), the filter but not its gradient (*BPDA*: that of the identity in its
# place), or all (*adaptive*). For both norms eps is a change per pixel: the largest for *linf*, the root mean square
# for *l2*. The sentence ends with the masking checks of the network that you chose (nine attacks and more: the
# first time that a network, a filter and a norm meet, they take two or three seconds). *Backdoor*: the strength of a
# trigger, its pair of frequencies, and how much poison the encoder was trained with. *Detect*: a threshold on the
# rows of a poisoned training set.
#
# The curve on the left is drawn as you go: every setting that you visit leaves a point with its interval, and beside
# it, grey, **the control**: noise of the same size, or the encoder that was trained on clean data. On the right the
# rows move, behind the filter if there is one. Tick `control` or `noise` to look at the control's pictures and rows
# instead. Try this:
#
# 1. *Perturb*: move eps with *standard*, then with *robust*. Put *median* in front; let the attacker be *oblivious*,
#    then *adaptive*. How much of the defence is left?
# 2. *Backdoor*: with 5 % of poison move the magnitude from 0 to 400. Does the grey curve rise, too? Then the trigger
#    is *noise that looks like a 4*, and only the difference counts. Choose a pair of frequencies that the poison did
#    not have.
# 3. *Detect*: find half of the poisoned pictures. How many clean ones do you throw away?

# %%
from sslwork import kept, purify
from sslwork.widgets import attack_lab

taught_set = data.load(
    "affine-digits", count=size.pick(smoke=200, lab=5000, gpu=20_000), size=16, turn=0, scale=(1, 1), shift=0
)
asked_set = data.load("affine-digits", split="test", count=100, size=16, turn=0, scale=(1, 1), shift=0)
steps_of_lab = size.pick(smoke=2, lab=200, gpu=2000)
lab_models = {kind: zoo.classifier(kind, taught_set, steps=steps_of_lab) for kind in ("standard", "robust")}
in_front = {
    "median": purify.Median(),
    "blur": purify.Blur(),
    "4 bits": purify.BitDepth(),
    "JPEG 75": purify.Jpeg(),
}

coloured_set, coloured_test = (
    in_colour("train", size.pick(smoke=200, lab=4000, gpu=20_000), 0),
    in_colour("test", size.pick(smoke=60, lab=300, gpu=1000), 0),
)


def poisoned_encoder(rate):
    """A SimCLR encoder whose training set holds so much poison of CTRL, kept once it is trained; and its rows."""
    poisoned = backdoor.Poison(ctrl_200, TARGET, rate, "first")(coloured_set)
    method = methods.SimCLR(encoders.conv(16, 3, seed=0), seed=0)

    def learn(net):
        train.fit(
            method, poisoned.pictures, views=ctrl_views, steps=steps_of_lab, batch_size=128, lr=2e-3, seed=0
        )

    kept.trained(
        method.encoder,
        learn,
        code=poisoned_encoder,
        rate=rate,
        data=poisoned.pictures.fingerprint(),
        steps=steps_of_lab,
    )
    return method.encoder, poisoned


trained_at = {f"{100 * rate:.0f} %": poisoned_encoder(rate) for rate in (0.0, 0.02, 0.05, 0.08)}
spoiled, poison = trained_at["5 %"]
spoiled_rows = embed(spoiled, poison.pictures, progress=False)
is_poison = torch.zeros(len(spoiled_rows), dtype=torch.bool).index_fill(0, poison.rows, True)
of_target = poison.pictures.labels == TARGET
found_scores = {}
for name in ("spectral_signature", "activation_clustering"):
    score = getattr(detectors, name)(spoiled_rows, poison.pictures.labels)
    found_scores[name.replace("_", " ")] = {
        f"clean {TARGET}s": score[of_target & ~is_poison],
        "poisoned": score[is_poison],
        "all others": score[~of_target],
    }

attack_lab(
    lab_models, asked_set, filters=in_front, encoders={rate: net for rate, (net, _) in trained_at.items()},
    coloured=(coloured_set[:1000], coloured_test), target=TARGET, scores=found_scores,
)  # fmt: skip

# %% [markdown]
# (The encoders are small and shortly trained, so that the lab opens quickly, and there is one for each rate: 8 % may do
# less than 5 %. Figures over seeds are those of the sections above. With *robust* masking check 5 fails: Square leaves
# fewer right than PGD on cross-entropy. PGD on the margin leaves as few as Square, so nothing is hidden; cross-entropy
# is just not the strongest loss, and the figure some points too high. The detectors are given the true classes here,
# which someone who trains without labels does not have; in the section on CTRL they are given clusters. Even so the
# spectral signature suspects the poisoned fours *less* than the clean ones.)

# %% [markdown]
# ## Where next?
#
# - Notebook 10: robust training, filters and detectors. Notebook 09: attacks and proofs.
# - Your own encoder and pictures: `sslwork.explore(encoder, pictures)`, as in the sections above.
# - What all papers say and what was measured here: `claims.table()`.
# - The same code on a GPU, longer and wider: start JupyterLab with `SSLWORK_SCALE=gpu`.
