"""What a result costs: one panel per kind of cost, on a logarithmic axis."""

from collections.abc import Mapping, Sequence

from sslwork.plots.style import LINES, LOOK, Figure, figure


@LOOK
def budget(panels: Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]], *, label: str) -> Figure:
    """Seeds as dots, their means joined where a series has several.

    Args:
        panels: name of a cost -> name of a series -> cost -> one value per seed. A series keeps its colour.
        label: of the values.
    """
    if not panels:
        raise ValueError("panels is empty: give at least one kind of cost")
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    colours = dict(zip(names, LINES * len(names), strict=False))
    fig = figure(840, 260)
    axes = fig.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (cost, series) in zip(axes, panels.items(), strict=True):
        for name, values in series.items():
            means = [sum(each) / len(each) for each in values.values()]
            ax.plot(
                list(values), means, color=colours[name], marker="_", markersize=14, linewidth=1.2, label=name
            )
            for x, each in values.items():
                ax.plot([x] * len(each), each, "o", color=colours[name], markersize=4.5, alpha=0.55)
        ax.set(xscale="log", xlabel=cost)
        ax.margins(x=0.12)
    axes[0].set_ylabel(label)
    handles = {name: each for ax in axes for each, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(list(handles.values()), list(handles), loc="upper left", ncols=4, bbox_to_anchor=(0.06, 1.0))
    fig.subplots_adjust(left=0.07, right=0.99, bottom=0.18, top=0.87, wspace=0.06)
    return fig
