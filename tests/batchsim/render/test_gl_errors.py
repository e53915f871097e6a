"""Whatever OpenGL reports comes out as the package's own error, and says what to do."""

import moderngl
import pytest
import torch

from batchsim import BatchRenderer, RenderError
from batchsim.render.opengl.gl_errors import checked

FORWARD = torch.tensor([[0.0, 1.25, 0, 0, 0, 0, 1]])
SCENE = torch.zeros(1, dtype=torch.int64)


class FakeContext:
    """A context that reports `error`, or cannot be made current."""

    def __init__(self, error="GL_NO_ERROR", enter=None):
        self.error, self._enter = error, enter

    def __enter__(self):
        if self._enter:
            raise self._enter

    def __exit__(self, *_):
        return None


@pytest.fixture
def renderer(one_room):
    made = BatchRenderer([one_room], 1, 8, 8, backend="raycast")
    yield made
    made.close()


def test_an_error_of_the_driver_is_reported_once(renderer, monkeypatch):
    draw = renderer._rig.render_async

    def draw_wrongly(*views):
        draw(*views)
        renderer.context.enable_direct(0xFFFF)  # nothing that OpenGL knows

    monkeypatch.setattr(renderer._rig, "render_async", draw_wrongly)
    with pytest.raises(RenderError, match=r"GL_INVALID_ENUM while drawing.*new renderer"):
        renderer.render(FORWARD, SCENE)
    monkeypatch.undo()
    assert float(renderer.render(FORWARD, SCENE)["depth"][0, 4, 4, 0]) == pytest.approx(5, abs=1e-3)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (FakeContext("GL_UNKNOWN_ERROR"), "GL_UNKNOWN_ERROR while drawing.*context is lost.*new one.*--resume"),
        (FakeContext("GL_CONTEXT_LOST"), "GL_CONTEXT_LOST while drawing.*context is lost.*new one.*--resume"),
        (FakeContext("GL_OUT_OF_MEMORY"), "GL_OUT_OF_MEMORY while drawing.*fewer views, smaller images"),
        (FakeContext(enter=Exception("eglMakeCurrent failed")), "eglMakeCurrent failed.*context is lost"),
    ],
)
def test_a_lost_context_says_what_to_do(renderer, monkeypatch, context, message):
    own = renderer.context
    monkeypatch.setattr(renderer._rig, "render_async", lambda *_: None)
    monkeypatch.setattr(renderer, "context", context)
    with pytest.raises(RenderError, match=message):
        renderer.render(FORWARD, SCENE)
    monkeypatch.setattr(renderer, "context", own)


def test_a_call_that_fails_after_the_loss_is_explained():
    message = r"failed while uploading: cannot map the buffer\. Make a new renderer"
    with pytest.raises(RenderError, match=message), checked(FakeContext(), "uploading"):
        raise moderngl.Error("cannot map the buffer")


def test_other_exceptions_go_their_way():
    with pytest.raises(ZeroDivisionError), checked(FakeContext("GL_UNKNOWN_ERROR"), "drawing"):
        raise ZeroDivisionError


def test_a_lost_renderer_can_be_closed(one_room, monkeypatch, caplog):
    renderer = BatchRenderer([one_room], 1, 8, 8, backend="raycast")
    own = renderer.context

    def fail():
        raise moderngl.Error("context lost")

    monkeypatch.setattr(renderer._rig, "release", fail)
    renderer.close()
    assert "context lost" in caplog.text
    with pytest.raises(RenderError, match="closed"):
        renderer.render(FORWARD, SCENE)
    assert own is renderer.context
