"""Wavelet scattering in pictures: the filters, what they make of a picture, and how far a move takes it."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from sslwork.plots.style import BAD, GREY, LOOK, PALETTE, Figure, bare, figure
from sslwork.scattering import Scattering


@LOOK
def filter_bank(scattering: Scattering) -> Figure:
    """Real parts of all wavelets, a row per scale and a column per angle; beside them where they lie in frequency."""
    scales, angles = scattering.scales, scattering.angles
    space = torch.fft.fftshift(torch.fft.ifft2(scattering.psi).real, dim=(1, 2))
    middle, reach = space.shape[1] // 2, min(space.shape[1] // 2, 2 ** (scales + 1))
    near = slice(middle - reach, middle + reach)
    fig = figure(840, 300)
    cell = min(500 / angles, 260 / scales)  # pixels of page
    for place, wave in enumerate(space):
        j, turn = divmod(place, angles)
        corner = (8 + turn * cell) / 840, (270 - (j + 1) * cell) / 300
        _signed(bare(fig.add_axes((*corner, 0.94 * cell / 840, 0.94 * cell / 300))), wave[near, near])
    fig.text(0.01, 0.93, "in space, enlarged: a row is a scale, a column an angle", fontsize=9)
    ax = fig.add_axes((0.68, 0.16, 0.27, 0.72))
    frequency = torch.fft.fftshift(torch.fft.fftfreq(scattering.psi.shape[-1])).numpy()
    for place, wave in enumerate(torch.fft.fftshift(scattering.psi, dim=(1, 2)).numpy()):
        ax.contour(
            frequency, frequency, wave, levels=[0.5 * float(wave.max())], colors=PALETTE[place // angles % 8]
        )
    low = torch.fft.fftshift(scattering.phi).numpy()
    ax.contour(frequency, frequency, low, levels=[0.5 * float(low.max())], colors=GREY)
    ax.set(title="in frequency: half of each height", xlabel="cycles per pixel", aspect="equal")
    return fig


@LOOK
def scattered(scattering: Scattering, image: Tensor) -> Figure:
    """A picture (1, H, W) and the maps of its scattering: order 0, order 1 by scale and angle, then order 2."""
    maps = scattering(image[None])[0]  # (K, H / 2^J, W / 2^J)
    first = scattering.scales * scattering.angles
    parts = {"order 0": maps[:1], "order 1": maps[1 : 1 + first], "order 2": maps[1 + first :]}
    fig, left = figure(840, 190), 8.0
    shown = {"picture": (image[0], "gray")} | {
        f"{name}: {len(own)} map{'s' * (len(own) != 1)}": (_tiled(own, scattering.angles), "magma")
        for name, own in parts.items()
        if len(own)
    }
    for title, (sheet, colours) in shown.items():
        width = min(150 * sheet.shape[1] / sheet.shape[0], 400)  # pixels of page
        ax = bare(fig.add_axes((left / 840, 0.02, width / 840, 150 / 190)))
        ax.imshow(sheet.numpy(), cmap=colours, interpolation="nearest")
        ax.set_title(title, loc="left")
        left += width + 20
    return fig


@LOOK
def changes(
    pictures: Sequence[Tensor], titles: Sequence[str], curves: Mapping[str, Sequence[float]], steps: Sequence[float],
    now: float, *, along: str,
) -> Figure:  # fmt: skip
    """Pictures (1, H, W) with titles; beside them how far each description has changed, over the size of a move.

    Args:
        curves: name -> relative change at each of `steps`.
        now: where the mark stands.
        along: what moves.
    """
    if any(len(curve) != len(steps) for curve in curves.values()):
        raise ValueError(f"each curve must have one value per step, {len(steps)}")
    fig = figure(840, 240)
    for place, (image, title) in enumerate(zip(pictures, titles, strict=True)):
        ax = bare(fig.add_axes((0.01 + 0.21 * place, 0.1, 0.2, 0.75)))
        ax.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(title)
    ax = fig.add_axes((0.55, 0.2, 0.43, 0.68))
    for (name, curve), colour in zip(curves.items(), (PALETTE[5], PALETTE[4], PALETTE[2]), strict=False):
        ax.plot(steps, curve, color=colour, label=name)
    ax.axvline(now, color=BAD, linewidth=0.8)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    ax.set(xlabel=along, ylabel="relative change", ylim=(0, None))
    return fig


def _signed(ax: Axes, values: Tensor) -> None:
    top = float(values.abs().max())
    ax.imshow(values.numpy(), cmap="RdBu", vmin=-top, vmax=top, interpolation="nearest")


def _tiled(maps: Tensor, columns: int) -> Tensor:
    """Maps (K, h, w) on one sheet, so many to a row, or to a column where there are many; each as bright as it can be."""
    columns = min(columns * (1 + (len(maps) > 4 * columns)), len(maps))
    padded = torch.nn.functional.pad(
        maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12), (0, 1, 0, 1), value=0.0
    )
    rows = -(-len(maps) // columns)
    sheet = padded.new_zeros(rows * columns, *padded.shape[1:])
    sheet[: len(maps)] = padded
    return sheet.unflatten(0, (rows, columns)).transpose(1, 2).flatten(0, 1).flatten(1)
