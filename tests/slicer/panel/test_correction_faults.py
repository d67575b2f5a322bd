"""Corrections when something goes wrong: other viewers, lost answers, a killed engine, nodes that go."""

from __future__ import annotations

import engine as engines
import loop
import numpy as np
import phantom
import pytest
from phantom import LEAKED, LIVER, MISSING, SPLEEN
from test_correction import (  # noqa: F401
    begun,
    click,
    correction,
    in_session,
    labels_of,
    node,
    same,
    session_of,
    settled,
    volume,
)
from test_jobs import stop
from test_layers import paint
from VesaliusLib.vesalius import Client, ConnectionLost, Refused, Steps, delta, sessions


def test_another_viewers_changes_come_in_and_a_stale_prompt_is_asked_again(begun, client):  # noqa: F811
    start = same(begun, client)
    other = start.copy()
    other[21, 20, 20:24] = LIVER
    change = delta.between(start, other)
    asked = sessions.operation(0, "foreign", 0.0, change)
    asked["base"] = begun._link.revision
    Steps(sessions.operate(client, session_of(begun.node), asked)).finish()
    click(begun, MISSING)
    found = same(begun, client)
    assert (found[21, 20, 20:24] == LIVER).all() and begun._link.revision >= 2
    assert (found == LIVER).sum() > (other == LIVER).sum()


def test_an_answer_that_is_lost_is_not_done_twice(begun, client, monkeypatch):  # noqa: F811
    real, lost = sessions.operate, []

    def operate(*arguments):
        answer = yield from real(*arguments)
        if len(lost) < 2:
            lost.append(answer)
            raise ConnectionLost("connection_lost", "the connection to the engine broke")
        return answer

    monkeypatch.setattr(sessions, "operate", operate)
    click(begun, MISSING)
    assert len(lost) == 2 and begun.steps == (1, 0)
    same(begun, client)


def test_labels_come_whole_when_events_are_forgotten(begun, client, monkeypatch):  # noqa: F811
    start = same(begun, client)
    other = start.copy()
    other[21, 20, 20:24] = LIVER
    asked = sessions.operation(begun._link.revision, "foreign", 0.0, delta.between(start, other))
    Steps(sessions.operate(client, session_of(begun.node), asked)).finish()
    paint(begun.node, begun.volume, "total.spleen", np.s_[2, 2, 2:6])

    def events(*_arguments):
        raise Refused("forgotten", "these events are forgotten")
        yield

    monkeypatch.setattr(sessions, "events", events)
    click(begun, MISSING)
    found = same(begun, client)
    assert (found[21, 20, 20:24] == LIVER).all() and (found[2, 2, 2:6] == SPLEEN).all()


def test_a_session_that_is_gone_is_begun_anew(begun, client):  # noqa: F811
    click(begun, MISSING)
    found, before = same(begun, client), session_of(begun.node)
    Steps(sessions.end(client, before)).finish()
    click(begun, LEAKED, "remove")
    again = same(begun, client)
    assert session_of(begun.node) != before and "cannot be undone any more" in begun.message
    assert begun.steps == (1, 0) and ((again == LIVER) == (found == LIVER)).all()


def test_what_another_viewer_does_is_followed(begun, client):  # noqa: F811
    start = same(begun, client)
    other = start.copy()
    other[21, 20, 20:24] = LIVER
    asked = sessions.operation(begun._link.revision, "foreign", 0.0, delta.between(start, other))
    Steps(sessions.operate(client, session_of(begun.node), asked)).finish()
    # The user's own paint, which is not sent yet, stays.
    paint(begun.node, begun.volume, "total.spleen", np.s_[2, 2, 2:6])
    begun.follow()
    settled(begun)
    found = labels_of(begun.node, begun.volume)
    assert (found[21, 20, 20:24] == LIVER).all() and (found[2, 2, 2:6] == SPLEEN).all()
    assert begun.message == "another viewer has changed something meanwhile"
    begun.follow()
    assert settled(begun).state == "ready"


def test_two_viewers_share_a_session(scene, begun, volume, client):  # noqa: F811
    """Each with a segmentation of its own; the second one begins where the first is."""
    from VesaliusLib.correction import Correction
    from VesaliusLib.process import Engine

    click(begun, MISSING)
    copy = phantom.segmentation(volume, same(begun, client))
    copy.SetAttribute("Vesalius.Session", session_of(begun.node))
    copy.SetNodeReferenceID("Vesalius.SessionVolume", volume.GetID())
    other = Correction(Engine())
    try:
        other.open(volume, copy)
        settled(other)
        first = same(other, client)
        np.testing.assert_array_equal(first, same(begun, client))
        # The other one undoes and clicks elsewhere; the first follows, then clicks without having followed.
        other.undo()
        click(other, LEAKED, "remove")
        begun.follow()
        settled(begun)
        np.testing.assert_array_equal(same(begun, client), labels_of(copy, volume))
        assert begun.message == "another viewer has changed something meanwhile"
        click(other, MISSING)
        click(begun, (44, 14, 12), "remove")
        assert begun.message.endswith("; another viewer has changed something meanwhile")
        other.follow()
        settled(other)
        np.testing.assert_array_equal(same(begun, client), labels_of(copy, volume))
        # Both at once.
        other.click(phantom.world(volume, LEAKED), "remove")
        begun.click(phantom.world(volume, MISSING), "remove")
        settled(other), settled(begun)
        other.follow(), begun.follow()
        settled(other)
        np.testing.assert_array_equal(same(begun, client), labels_of(copy, volume))
    finally:
        other.end()


def test_somebody_who_changes_everything_all_the_time_is_told_of(begun, client, monkeypatch):  # noqa: F811
    start = same(begun, client)

    def operate(*_arguments):
        raise Refused("stale", "the labels have changed since revision 0")
        yield

    monkeypatch.setattr(sessions, "operate", operate)
    click(begun, MISSING)
    assert begun.error.message == "another viewer changes the same segmentation, faster than it can be followed"
    assert begun.error.hint.startswith("nothing was changed")
    begun.error = None
    np.testing.assert_array_equal(same(begun, client), start)


@pytest.mark.parametrize("when", ["before", "at work"])
def test_an_engine_that_is_killed_costs_nothing(volume, node, application, tmp_path, monkeypatch, when):  # noqa: F811
    from VesaliusLib.correction import Correction
    from VesaliusLib.process import Engine

    tmp_path.chmod(0o700)
    for name, value in engines.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VESALIUS", engines.binary())
    running = engines.Engine(tmp_path)
    correction = Correction(Engine())  # noqa: F811
    try:
        correction.open(volume, node)
        settled(correction)
        click(correction, MISSING)
        first = labels_of(node, volume)
        if when == "before":
            running.kill()
        correction.click(phantom.world(volume, LEAKED), "remove")
        if when == "at work":
            # The question is on its way; whether it was answered, nobody knows.
            loop.until(lambda: correction.driver._steps.pause > 0)
            running.kill()
        settled(correction)
        assert correction.error is None, correction.error.message
        second = labels_of(node, volume)
        assert (second != first).any() and correction.steps == (2, 0)
        client = Client.find(tmp_path)
        np.testing.assert_array_equal(in_session(client, node), second)
        correction.undo()
        np.testing.assert_array_equal(same(correction, client), first)
        correction.undo()
        np.testing.assert_array_equal(same(correction, client), phantom.mistaken())
        client.close()
    finally:
        correction.end()
        running.stop()
        stop(tmp_path)


@pytest.mark.parametrize("how", ["scene", "volume", "segmentation"])
@pytest.mark.parametrize("when", ["opening", "working", "ready"])
def test_nodes_may_go_at_any_time(scene, volume, node, correction, client, how, when):  # noqa: F811
    correction.open(volume, node)
    if when != "opening":
        settled(correction)
        session = session_of(node)
    if when == "working":
        correction.click(phantom.world(volume, MISSING))
        correction.driver._tick()
    {"scene": lambda: scene.Clear(False), "volume": lambda: scene.RemoveNode(volume)}.get(
        how, lambda: scene.RemoveNode(node)
    )()
    settled(correction)
    loop.settle(0.1)
    assert (correction.state, correction.error) == ("closed", None)
    assert correction.volume is None and correction.node is None and correction.near((0.0, 0.0, 0.0)) == 0
    if when != "opening":
        with pytest.raises(Refused):
            Steps(sessions.get(client, session)).finish()
