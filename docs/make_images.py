"""Draw the README's images, docs/views.png and docs/path.png, with the project itself.

.venv/bin/python docs/make_images.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image, ImageDraw

from batchsim import BatchRenderer, NavVectorEnv, poses, scenes
from batchsim.agents.baselines.registry import make_baseline
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.scenes.maps.top_down import storey_levels, top_down

FOLDER = Path(__file__).parent
HOMES = [f"homes:val/{i}?detail=high" for i in (1, 3, 4, 6, 9)]
VIEW = (256, 192)  # pixels of one view in the image; it is drawn at SCALE times that and shrunk
SCALE = 2
GAP = 4
EYE_HEIGHT = 1.25
MAX_DEPTH = 8.0
CANDIDATES = 192  # views of each home from which the most telling one is taken

WALKED = (214, 69, 65)
SHORTEST = (130, 177, 226)


def main() -> None:
    """Draw both images."""
    save(draw_views([scenes.load(name) for name in HOMES]), "views.png", colors=256)
    save(draw_path(), "path.png", colors=64)


def save(image: Image.Image, name: str, colors: int) -> None:
    """Write a small file: a palette of so many colours does."""
    image.quantize(colors, kmeans=2).save(FOLDER / name, optimize=True)
    print(f"{FOLDER / name}: {image.width} x {image.height}, {(FOLDER / name).stat().st_size // 1000} kB")


def draw_views(homes: list[scenes.Scene]) -> Image.Image:
    """One view of each home in colour, and below it its depth, near dark and far bright."""
    chosen = torch.stack([most_telling_pose(home) for home in homes])
    width, height = VIEW
    renderer = BatchRenderer(homes, len(homes), width * SCALE, height * SCALE, sensors=("rgb", "depth"))
    images = renderer.render(chosen, torch.arange(len(homes)))
    colour, depth = (images[name].cpu().numpy().copy() for name in ("rgb", "depth"))
    renderer.close()
    near = np.where(depth[..., 0] > 0, np.clip(depth[..., 0] / MAX_DEPTH, 0, 1), 1)
    tinted = (colormaps["magma"](near**0.7)[..., :3] * 255).astype(np.uint8)
    sheet = Image.new("RGB", (len(homes) * (width + GAP) - GAP, 2 * height + GAP), "white")
    for row, images in enumerate((colour, tinted)):
        for column, image in enumerate(images):
            small = Image.fromarray(image).resize(VIEW, Image.Resampling.LANCZOS)
            sheet.paste(small, (column * (width + GAP), row * (height + GAP)))
    return sheet


def most_telling_pose(home: scenes.Scene) -> torch.Tensor:
    """The pose `[7]`, of many drawn at random, that sees the most different things, some of them far away."""
    rng = np.random.default_rng(0)
    feet = torch.as_tensor(home.sample_navigable(CANDIDATES, rng))
    headings = torch.as_tensor(rng.uniform(-np.pi, np.pi, CANDIDATES), dtype=torch.float32)
    eyes = feet + torch.tensor([0.0, EYE_HEIGHT, 0.0])
    candidates = torch.cat((eyes, poses.heading_to_quaternion(headings)), -1)
    renderer = BatchRenderer([home], CANDIDATES, 48, 36, sensors=("depth", "semantic"))
    images = renderer.render(candidates, torch.zeros(CANDIDATES, dtype=torch.int64))
    depth, labels = images["depth"].cpu().flatten(1), images["semantic"].cpu().flatten(1)
    kinds = torch.stack([torch.bincount(view, minlength=len(home.label_names)) > 8 for view in labels]).sum(1)
    crowded = (depth < 0.9).float().mean(1)
    score = kinds + 1.5 * depth.std(1) - 12 * crowded
    renderer.close()
    return candidates[score.argmax()]


def draw_path() -> Image.Image:
    """A home from above, with the shortest path of one long episode and the way the shortest-path agent walked."""
    episodes = scenes.standard_episodes("homes:val", 200)
    detour = episodes.geodesic_distance / np.linalg.norm(episodes.goal - episodes.start_position, axis=1)
    for chosen in np.argsort(-episodes.geodesic_distance * np.minimum(detour, 2)):
        home = scenes.load(episodes.scene_names[episodes.scene_index[chosen]])
        if len(storey_levels(home)) == 1:
            break
    longest = replace(episodes.select([chosen]), scene_names=(home.name,), scene_index=np.zeros(1, np.int32))
    env = NavVectorEnv(1, [home], episodes=longest, sensors=(), turn_angle=10.0)
    walk = run_episodes(env, make_baseline("oracle", env), longest, "oracle", "homes:val").records[0]
    env.close()
    plan = top_down(home, pixels_per_metre=60.0 * SCALE, max_pixels=4096)
    image = Image.fromarray(plan.image)
    pen = ImageDraw.Draw(image)
    shortest = home.shortest_path(longest.start_position[0], longest.goal[0])
    draw_line(pen, plan.to_pixel(shortest), SHORTEST, 7 * SCALE)
    draw_line(pen, plan.to_pixel(np.array(walk.path)), WALKED, 2 * SCALE)
    for point, colour in ((walk.path[0], WALKED), (walk.goal, SHORTEST)):
        x, y = plan.to_pixel(np.array(point))
        radius = 9 * SCALE
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline="white", width=3 * SCALE)
    return image.resize((image.width // SCALE, image.height // SCALE), Image.Resampling.LANCZOS)


def draw_line(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    """A line with round corners through `points` `[P, 2]`."""
    pen.line([tuple(point) for point in points.tolist()], fill=colour, width=width, joint="curve")


if __name__ == "__main__":
    main()
