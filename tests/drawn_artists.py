"""What matplotlib's artists show: texts of legends, limits of bands."""

import numpy as np


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def outline(band):
    """Lower and upper values of a band by its places."""
    vertices = band.get_paths()[0].vertices
    places = np.unique(vertices[:, 0])
    values = [vertices[vertices[:, 0] == x, 1] for x in places]
    return places, np.array([v.min() for v in values]), np.array([v.max() for v in values])
