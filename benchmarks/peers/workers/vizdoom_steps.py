"""VizDoom under random actions: one game, images as numpy arrays, one tic per step.

vizdoom_steps.py SCENARIO
"""

from __future__ import annotations

import os
import random
import sys

import protocol
import vizdoom


def main() -> None:
    """Run the worker."""
    game = vizdoom.DoomGame()
    game.load_config(os.path.join(vizdoom.scenarios_path, f"{sys.argv[1]}.cfg"))
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)  # its lowest resolution
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_window_visible(False)
    game.set_render_hud(False)
    game.init()
    buttons = game.get_available_buttons_size()
    actions = [[float(i == j) for j in range(buttons)] for i in range(buttons)]
    draw = random.Random(0)

    def work() -> int:
        for _ in range(64):
            game.make_action(draw.choice(actions))
            if game.is_episode_finished():
                game.new_episode()
            image = game.get_state().screen_buffer
        assert image.shape == (120, 160, 3)
        return 64

    protocol.serve(work, {"environments": 1, "actions": buttons})


if __name__ == "__main__":
    main()
