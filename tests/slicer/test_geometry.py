"""Matrices, boxes and refusals, against SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from VesaliusLib.vesalius import VesaliusError, geometry
from volumes import GEOMETRIES, rotation

ORTHOGONAL = [name for name in GEOMETRIES if name != "sheared"]


@pytest.mark.parametrize("name", ORTHOGONAL)
def test_points_lie_where_simpleitk_has_them(name):
    lps = geometry.other_space(GEOMETRIES[name])
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.Image([7, 5, 4], SimpleITK.sitkUInt8)
    image.SetSpacing([float(value) for value in spacing])
    image.SetDirection([float(value) for value in (lps[:3, :3] / spacing).ravel()])
    image.SetOrigin([float(value) for value in lps[:3, 3]])
    made = geometry.matrix_of(image.GetSpacing(), image.GetDirection(), image.GetOrigin())
    np.testing.assert_allclose(made, lps, atol=1e-12)
    for index in ([0, 0, 0], [6, 4, 3], [2, 3, 1]):
        point = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(geometry.to_world(lps, np.array([index]))[0], point, atol=1e-9)
        np.testing.assert_allclose(geometry.to_ijk(lps, np.array([point]))[0], index, atol=1e-9)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_volume_of_a_voxel(name):
    matrix = GEOMETRIES[name]
    edges = matrix[:3, :3].T
    assert geometry.voxel_ml(matrix) == pytest.approx(abs(np.dot(edges[0], np.cross(edges[1], edges[2]))) / 1000)


def test_ras_and_lps_are_each_others_mirror():
    matrix = GEOMETRIES["oblique"]
    np.testing.assert_array_equal(geometry.other_space(geometry.other_space(matrix)), matrix)
    np.testing.assert_array_equal(geometry.other_space(matrix)[:2], -matrix[:2])


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_box_holds_the_voxels_whose_centres_it_holds(name):
    dims, matrix = (9, 8, 7), GEOMETRIES[name]
    turn, centre, size = rotation(0.2, -0.4, 0.9), geometry.to_world(matrix, [[4.2, 3.1, 2.9]])[0], [9.0, 11.0, 13.0]
    points = centre + (geometry.box_points() * size) @ turn.T
    box = geometry.region(dims, matrix, points)
    indices = np.stack(np.meshgrid(*map(np.arange, dims), indexing="ij"), axis=-1).reshape(-1, 3)
    own = (geometry.to_world(matrix, indices) - centre) @ turn
    inside = indices[(np.abs(own) <= np.array(size) / 2).all(axis=1)]
    for axis, (begin, end) in enumerate(box):
        # Never less than what the box holds; more only where it lies aslant.
        assert 0 <= begin <= inside[:, axis].min() and inside[:, axis].max() < end <= dims[axis]


def test_boxes_beside_the_image_are_refused():
    matrix = np.eye(4)
    assert geometry.region((5, 5, 5), matrix, [[1, 1, 1], [3, 3, 9]]) == [[1, 4], [1, 4], [1, 5]]
    assert geometry.region((5, 5, 5), matrix, [[-9, 0.5, 0], [99, 1.5, 0]]) == [[0, 5], [1, 2], [0, 1]]
    for points in ([[1.2, 1.2, 1.2], [1.8, 3, 3]], [[-5, 0, 0], [-1, 4, 4]], [[0, 0, 5], [4, 4, 9]]):
        with pytest.raises(VesaliusError) as caught:
            geometry.region((5, 5, 5), matrix, points)
        assert caught.value.code == "invalid_region"


@pytest.mark.parametrize(
    "dims, matrix",
    [
        ((0, 2, 2), np.eye(4)),
        ((2, 2), np.eye(4)),
        ((2, 2, 2), np.diag([1.0, 1.0, 0.0, 1.0])),
        ((2, 2, 2), np.diag([1.0, np.nan, 1.0, 1.0])),
        ((2, 2, 2), np.eye(3)),
        ((2, 2, 2), np.diag([1.0, 1.0, 1.0, 2.0])),
    ],
)
def test_grids_that_fill_no_space_are_refused(dims, matrix):
    with pytest.raises(VesaliusError) as caught:
        geometry.check(dims, matrix)
    assert caught.value.code == "geometry_invalid"
