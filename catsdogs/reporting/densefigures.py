"""Maps of scores, drawn over the picture they are about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.core.predictions import FloatArray, softmax
from catsdogs.core.printable import printable
from catsdogs.data.preparation import Pixels

_CLASSES_DRAWN = 2
_PANEL_IN = 3.2


def draw_dense(pixels: Pixels, local: FloatArray, pooled: FloatArray, class_names: Sequence[str]) -> Figure:
    """Draw a picture and, over it, the probability of its likeliest classes at every position.

    Args:
        pixels: The picture, uint8 (H, W, 3).
        local: Logits at each position of the map, (h, w, C).
        pooled: Logits of the picture, (C,).
        class_names: Length C.
    """
    height, width = pixels.shape[:2]
    likely = np.argsort(-pooled, kind="stable")[:_CLASSES_DRAWN].tolist()
    probabilities, whole = softmax(local), softmax(pooled)
    figure = Figure(
        figsize=(_PANEL_IN * (1 + len(likely)) + 0.6, _PANEL_IN * height / width + 0.6), layout="constrained"
    )
    panels = figure.subplots(1, 1 + len(likely), squeeze=False)[0]
    panels[0].imshow(pixels)
    panels[0].set_title(f"{width} x {height} px, map {local.shape[1]} x {local.shape[0]}", fontsize=9)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    drawn = None
    for panel, name in zip(panels[1:], likely, strict=True):
        panel.imshow(grey, cmap="gray", extent=(0, width, height, 0))
        drawn = panel.imshow(
            probabilities[:, :, name],
            cmap="coolwarm",
            vmin=0,
            vmax=1,
            alpha=0.55,
            interpolation="nearest",
            extent=(0, width, height, 0),
        )
        title = f"{class_names[name]}: {whole[name]:.1%} of the whole"
        panel.set_title(printable(title), fontsize=9, parse_math=False)
    for panel in panels:
        panel.axis("off")
    if drawn is not None:
        figure.colorbar(drawn, ax=panels[1:].tolist(), shrink=0.8, label="probability of the part")
    return figure
