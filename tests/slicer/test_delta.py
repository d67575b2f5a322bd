"""Deltas as the engine writes them: the same bytes, there and back, and nothing believed that cannot be."""

from __future__ import annotations

import random

import numpy as np
import pytest
from VesaliusLib.vesalius import VesaliusError, delta

# Of docs/correction.md.
EXAMPLE = bytes.fromhex("56534431 030405 020201 02 0002 0102 02 0004 0003")
NOTHING = bytes.fromhex("56534431 000000 000000 00 00")


def by_the_book(data):
    """Every changed voxel as (i, j, k, old, new), read as docs/correction.md says, one number after the other."""
    at = 4

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    start, size = [number() for _ in range(3)], [number() for _ in range(3)]
    count = number()
    table = [(data[at + 2 * n], data[at + 2 * n + 1]) for n in range(count)]
    at, place = at + 2 * count, 0
    for _ in range(number()):
        place += number()
        length, which = divmod(number(), count)
        for n in range(place, place + length):
            row, i = divmod(n, size[0])
            k, j = divmod(row, size[1])
            yield start[0] + i, start[1] + j, start[2] + k, *table[which]
        place += length


def blobs(seed, shape=(9, 11, 13), labels=4):
    """Random label maps with long and short runs."""
    noise = np.random.default_rng(seed)
    old = noise.integers(0, labels, shape).astype(np.uint8)
    old[:, :, : noise.integers(1, shape[2])] = 1
    new = old.copy()
    k, j, i = (noise.integers(0, n, 2) for n in shape)
    new[min(k) : max(k) + 1, min(j) : max(j) + 1, min(i) : max(i) + 1] = noise.integers(0, labels)
    return old, new


def test_the_example_of_the_documentation_is_read_and_written():
    found = delta.decode(EXAMPLE)
    assert (found.start, found.size, found.voxels) == ((3, 4, 5), (2, 2, 1), 3)
    assert found.changes() == {(0, 2): 2, (1, 2): 1}
    labels = np.zeros((7, 7, 7), np.uint8)
    labels[5, 5, 3] = 1
    assert found.fits(labels)
    found.apply(labels)
    assert sorted(map(tuple, np.argwhere(labels == 2))) == [(5, 4, 3), (5, 4, 4), (5, 5, 3)]
    assert not found.fits(labels) and found.inverted().fits(labels)
    assert found.encode() == EXAMPLE
    assert delta.decode(NOTHING).is_empty and delta.empty().encode() == NOTHING


@pytest.mark.parametrize("seed", range(40))
def test_what_was_between_two_maps_leads_from_one_to_the_other(seed, monkeypatch):
    monkeypatch.setattr(delta, "PIECE", 7)
    old, new = blobs(seed)
    made = delta.between(old, new)
    data = made.encode()
    expected = {(i, j, k): (int(old[k, j, i]), int(new[k, j, i])) for k, j, i in np.argwhere(old != new)}
    assert {voxel[:3]: voxel[3:] for voxel in by_the_book(data)} == expected
    read = delta.decode(data)
    assert read.encode() == data and read.voxels == len(expected)
    labels = old.copy()
    assert read.fits(labels)
    read.apply(labels)
    np.testing.assert_array_equal(labels, new)
    read.inverted().apply(labels)
    np.testing.assert_array_equal(labels, old)


def test_a_part_knows_where_it_lies():
    old, new = blobs(3)
    whole = delta.between(old, new)
    part = delta.between(old[2:, 1:, 4:], new[2:, 1:, 4:], (4, 1, 2))
    inside = old.copy()
    inside[2:, 1:, 4:] = new[2:, 1:, 4:]
    assert part.encode() == delta.between(old, inside).encode() and whole.voxels >= part.voxels


def test_large_ones_take_milliseconds():
    import time

    noise = np.random.default_rng(1)
    old = np.zeros((100, 300, 300), np.uint8)
    new = (noise.random(old.shape) < 0.05).astype(np.uint8)
    data = delta.between(old, new).encode()
    began = time.thread_time()
    read = delta.decode(data)
    decoded = time.thread_time() - began
    assert read.voxels == int(new.sum()) > 400_000
    assert decoded < 0.5, f"{decoded:.3f} s of processor time for {len(data)} bytes"


WRONG = {
    "no magic": b"VSD2" + EXAMPLE[4:],
    "nothing": b"",
    "cut": EXAMPLE[:-1],
    "more": EXAMPLE + b"\x00",
    "a box beyond reason": bytes.fromhex("56534431 ffffff7f 0405 020201 01 0002 01 0004"),
    "an endless number": b"VSD1" + b"\xff" * 40,
    "a table out of order": bytes.fromhex("56534431 030405 020201 02 0102 0002 02 0004 0003"),
    "no change": bytes.fromhex("56534431 030405 020201 01 0202 01 0001"),
    "runs without a table": bytes.fromhex("56534431 030405 020201 00 01 0001"),
    "a run of nothing": bytes.fromhex("56534431 030405 020201 01 0002 01 0000"),
    "a run beyond the box": bytes.fromhex("56534431 030405 020201 01 0002 01 0005"),
    "a skip beyond the box": bytes.fromhex("56534431 030405 020201 01 0002 01 0501"),
    "more runs than bytes": bytes.fromhex("56534431 030405 020201 01 0002 ffff7f 0001"),
    "sums that overflow": b"VSD1" + bytes.fromhex("000000 020201 01 0002 02") + (b"\xff" * 8 + b"\x7f") * 4,
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_delta_is_refused(name):
    with pytest.raises(VesaliusError, match="no delta") as caught:
        delta.decode(WRONG[name])
    assert caught.value.code == "not_a_delta"


def test_a_delta_beyond_the_image_is_refused():
    with pytest.raises(VesaliusError, match="beyond the image"):
        delta.decode(EXAMPLE).fits(np.zeros((5, 9, 9), np.uint8))


def test_random_bytes_never_do_harm():
    dice = random.Random(7)
    for _ in range(3000):
        data = bytearray(EXAMPLE)
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(4, len(data))] = dice.randrange(256)
        try:
            found = delta.decode(bytes(data))
        except VesaliusError:
            continue
        # What is accepted is what the book says, and is written as it was, but for numbers of more bytes than needed.
        assert [voxel[3:] for voxel in by_the_book(bytes(data))] == [voxel[3:] for voxel in by_the_book(found.encode())]
