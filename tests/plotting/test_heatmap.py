"""Heat maps: cells, colours, the critical line."""

import numpy as np
import pytest

import vgsim

pytest.importorskip("matplotlib")
from matplotlib import pyplot

plotting = vgsim.plotting
X, Y = np.array([0.5, 1.0, 2.0]), np.array([0.0, 0.1])
Z = np.array([[-3.0, -2.0, 1.0], [0.5, 2.0, 4.0]])


def test_cells_meet_halfway():
    (mesh,) = plotting.heatmap(X, Y, Z, label="median", xlabel="gain", ylabel="bias")
    edges = mesh.get_coordinates()
    np.testing.assert_allclose(edges[0, :, 0], [0.25, 0.75, 1.5, 2.5])
    np.testing.assert_allclose(edges[:, 0, 1], [-0.05, 0.05, 0.15])
    np.testing.assert_array_equal(mesh.get_array(), Z)
    assert mesh.get_clim() == (-3, 4)
    assert mesh.get_cmap().name == "cividis"
    assert mesh.colorbar.ax.get_ylabel() == "median"
    assert (mesh.axes.get_xlabel(), mesh.axes.get_ylabel()) == ("gain", "bias")


def test_critical_line_keeps_the_range_of_the_grid():
    mesh, line = plotting.heatmap(X, Y, Z, line=([0.7, 9.0], [0.0, 0.1]))
    np.testing.assert_array_equal(line.get_xydata(), [[0.7, 0.0], [9.0, 0.1]])
    assert mesh.axes.get_xlim() == (0.25, 2.5)
    assert mesh.axes.get_legend().get_texts()[0].get_text() == "critical line"


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([[0.1, 0.9]], (0, 1)),
        ([[0.01, 0.02]], (0.01, 0.02)),
        ([[2.0, 2.0]], (1.5, 2.5)),
        ([[0.0, 0.0]], (0, 1)),
        ([[np.nan, np.nan]], (0, 1)),
        ([[-np.inf, -4.0]], (-4.5, -3.5)),
    ],
)
def test_limits_of_colours(values, limits):
    (mesh,) = plotting.heatmap([1, 2], [1], values)
    assert mesh.get_clim() == limits


def test_infinite_values_take_the_last_colour_and_missing_ones_none():
    (mesh,) = plotting.heatmap(X, Y, [[-np.inf, -2, 1], [np.nan, 2, np.inf]])
    np.testing.assert_array_equal(mesh.get_array().mask, [[0, 0, 0], [1, 0, 0]])
    assert mesh.get_array()[0, 0] == mesh.get_clim()[0] == -2
    assert mesh.colorbar.extend == "both"
    (mesh,) = plotting.heatmap(X, Y, Z, limits=(-2, 5))
    assert mesh.colorbar.extend == "min"


BAD = [
    (lambda: plotting.heatmap([2, 1], [1], [[1, 2]]), ValueError, "x must be increasing"),
    (
        lambda: plotting.heatmap([1, 2], [1], [1, 2]),
        ValueError,
        r"values must have the shape \(1, 2",
    ),
    (lambda: plotting.heatmap(X, Y, Z.T), ValueError, r"one row for each y, got \(3, 2\)"),
    (lambda: plotting.heatmap(X, Y, Z, limits=(1, 1)), ValueError, "limits must be two increasing"),
    (lambda: plotting.heatmap(X, Y, Z, line=[[1]]), ValueError, "line must be a pair of arrays"),
    (lambda: plotting.heatmap(X, Y, Z, line=3), TypeError, "line must be a pair of arrays"),
    (lambda: plotting.heatmap(X, Y, Z, line=([1], [1, 2])), ValueError, "line must be two vectors"),
    (lambda: plotting.heatmap(X, Y, Z, label=1), TypeError, "label must be a string"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_refused_arguments_leave_no_figure(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert not pyplot.get_fignums()


def test_axes_are_logarithmic_where_the_grid_is():
    (mesh,) = plotting.heatmap([1, 10, 100], [0.0, 1e-3, 1.0], np.eye(3))
    assert (mesh.axes.get_xscale(), mesh.axes.get_yscale()) == ("log", "linear")
    edges = mesh.get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges, 10 ** np.array([-0.5, 0.5, 1.5, 2.5]))
