"""The viewer in a real browser, its address checks, and its command line."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import load_run
from batchsim.agents.view import main
from batchsim.agents.viewer.display import label_colors
from batchsim.agents.viewer.server import ViewerServer
from batchsim.agents.viewer.session import Session
from batchsim.scenes import resolve
from tests.agents.evaluation.test_session import SMALL, make_run
from tests.helpers.browser import needs_browser, open_browser

SIZE = 64, 48


@pytest.fixture(scope="module")
def sources(cache_of_this_session):
    return [*resolve("four-rooms"), *resolve("one-room")]


@pytest.fixture(scope="module")
def candidate(cache_of_this_session, tmp_path_factory):
    return load_run(str(make_run(tmp_path_factory.mktemp("runs") / "run", SMALL)))


@contextmanager
def serving(make_session) -> Iterator[ViewerServer]:
    server = ViewerServer(make_session)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
        server.close()


@needs_browser
def test_a_person_walks_with_the_keyboard_and_changes_the_scene(sources):
    with serving(lambda: Session(sources, None, *SIZE)) as server, open_browser() as browser:
        page = browser.page
        page.goto(server.url)
        browser.wait("window.viewer && window.viewer.frames > 2")
        before = browser.run("window.viewer.facts")
        page.keyboard.down("ArrowLeft")
        browser.wait(f"Math.abs(window.viewer.facts.heading - {before['heading']}) > 0.2")
        page.keyboard.up("ArrowLeft")
        page.keyboard.down("PageUp")
        browser.wait("window.viewer.facts.pitch > 0.1")
        page.keyboard.up("PageUp")
        page.keyboard.down("KeyW")
        x, _, z = before["position"]
        browser.wait(f"Math.hypot(window.viewer.facts.position[0] - {x}, window.viewer.facts.position[2] - {z}) > 0.15")
        page.keyboard.up("KeyW")
        # All four pictures show something.
        for canvas in ("rgb", "depth", "semantic", "map"):
            drawn = f"""(() => {{ const c = document.getElementById("{canvas}");
            return c.getContext("2d").getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 < 3 && v > 20);
            }})().length"""
            assert browser.run(drawn) > 1000, canvas
        page.select_option("#scene", "one-room")
        browser.wait("document.title.startsWith('one-room')")
        browser.wait("window.viewer.facts.step === 0")
        assert not browser.errors
        assert all(request.startswith((server.url, "blob:", "data:")) for request in browser.requests)


@needs_browser
def test_a_policy_drives_with_its_value_and_probabilities(sources, candidate):
    with serving(lambda: Session(sources, candidate, *SIZE)) as server, open_browser() as browser:
        page = browser.page
        page.goto(server.url)
        browser.wait("window.viewer && window.viewer.facts.step > 2")
        page.keyboard.press("Space")
        browser.wait("document.getElementById('pause').getAttribute('aria-pressed') === 'true'")
        facts = browser.run("window.viewer.facts")
        names, chances = zip(*facts["actions"], strict=True)
        assert names == ("stop", "forward", "left", "right")
        assert sum(chances) == pytest.approx(1)
        assert isinstance(facts["value"], float)
        assert facts["goal"] is not None
        assert page.locator("#actions .action").count() == 4
        page.select_option("#mode", "walk")
        browser.wait("window.viewer.facts.actions.length === 0")
        assert not browser.errors


def test_watching_repeats_what_the_policy_does_in_its_own_environment(sources, candidate):
    """The same seed gives the same drive, and the most likely action is that of an evaluation's agent."""
    import torch

    from batchsim import NavVectorEnv
    from batchsim.agents.evaluation.policy_agent import PolicyAgent

    session = Session(sources, candidate, *SIZE, deterministic=True)
    env = NavVectorEnv(1, [sources[0].load()], **candidate.env_options(), device="cpu")
    try:
        agent = PolicyAgent(candidate.policy, 1, deterministic=True)
        observation, _ = env.reset(seed=0)
        start = torch.ones(1, dtype=torch.bool)
        for _ in range(5):
            action = agent.act(observation, start, torch.zeros(1, dtype=torch.float64))
            observation, *_ = env.step(action)
            start = torch.zeros(1, dtype=torch.bool)
            facts, images = session.tick(())
            assert facts["taken"] == env.task.action_names[int(action)]
            assert facts["position"] == pytest.approx(env.simulator.state.position[0].tolist(), abs=1e-5)
            assert all(image.startswith(b"\xff\xd8") for image in images)
    finally:
        session.close()
        env.close()


def test_an_episode_that_has_ended_stays_until_the_next_one(sources, candidate):
    session = Session(sources, candidate, *SIZE)
    try:
        for _ in range(600):
            facts, _ = session.tick(())
            if facts["ended"]:
                break
        assert facts["ended"]
        assert session.tick(())[0]["step"] == facts["step"]
        session.next_episode()
        assert session.tick((), moving=False)[0]["step"] == 0
        with pytest.raises(AgentError, match="mode is 'fly'; expected walk, or watch"):
            session.set_mode("fly")
        with pytest.raises(AgentError, match="no scene 'elsewhere'"):
            session.open_scene("elsewhere")
    finally:
        session.close()


def answer(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.split(":")[2].strip("/")), timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_only_the_page_itself_may_ask(sources):
    with serving(lambda: Session(sources, None, *SIZE)) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert answer(server, "GET", "/")[0] == 200
        assert server.token in answer(server, "GET", "/")[1].decode()
        # Another site's page, by a name that resolves to this machine, or without reading the token.
        assert answer(server, "GET", "/", Host="evil.example")[0] == 403
        assert answer(server, "POST", "/about", b"{}")[0] == 403
        assert answer(server, "POST", "/about", b"{}", X_Batchsim_Token="guess")[0] == 403
        token = {"X_Batchsim_Token": server.token}
        assert answer(server, "POST", "/about", b"{}", Host="evil.example", **token)[0] == 403
        assert answer(server, "POST", "/about", b"{}", **token)[0] == 200
        assert answer(server, "POST", "/about", b"[1]", **token)[0] == 400
        assert answer(server, "POST", "/about", b"x" * 70000, **token)[0] == 400
        assert answer(server, "POST", "/elsewhere", b"{}", **token)[0] == 404
        assert answer(server, "GET", "/../../etc/passwd")[0] == 404
        status, text = answer(server, "POST", "/scene", json.dumps({"name": "nowhere"}), **token)
        assert (status, text) == (422, b"There is no scene 'nowhere' in this session.")


def test_colours_of_labels_differ():
    colors = label_colors(40)
    assert (colors[0] == 0).all()
    apart = np.abs(colors[:, None].astype(int) - colors).sum(2) + 1000 * np.eye(40, dtype=int)
    assert apart.min() > 6


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["four-rooms", "--width", "5"], "--width is 5; expected 32 to 2048."),
        (["four-rooms", "--port", "99999"], "--port is 99999; expected 0 to 65535."),
        (["four-rooms", "--policy", "missing"], "'missing' is neither a run folder nor a baseline"),
        (["no-such-scene"], "no-such-scene"),
    ],
)
def test_bad_options_get_one_line(arguments, expected, capsys):
    assert main(["view", *arguments, "--no-browser"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert expected in lines[0]


def test_a_signal_ends_the_command(cache_of_this_session):
    command = [sys.executable, "-m", "batchsim.agents.view", "view", "one-room", "--no-browser", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["url"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err) == (143, "batchsim-scenes: terminated\n")
