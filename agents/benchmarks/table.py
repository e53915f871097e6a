"""Prints benchmark figures as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from batchsim.agents.benchmarks.changes import ratios
from batchsim.agents.benchmarks.record import BenchRecord
from batchsim.agents.benchmarks.sweep import Sweep

_LIMIT_WORDS = {
    "traversal_rays_per_second": "of the rays of bare traversal",
    "copy_bytes_per_second": "of the memory bandwidth",
    "matmul_flops_per_second": "of the FLOP/s of a large matrix product",
}


def print_record(result: BenchRecord) -> None:
    """Print one measurement."""
    table = Table(show_header=False, title=f"batchsim-bench {result.mode}")
    for name, value in _rows(result).items():
        if value:
            table.add_row(name, value)
    Console().print(table)


def _rows(result: BenchRecord) -> dict[str, str]:
    low, high = result.fps_range
    images = ", ".join(result.sensors) or "no images"
    memory = f"{result.peak_host_bytes / 2**20:,.0f} MiB host"
    if result.peak_torch_bytes is not None:
        memory += f", {result.peak_memory_bytes / 2**20:,.0f} device ({result.peak_torch_bytes / 2**20:,.0f} torch)"
    return {
        "frames per second": f"{result.fps:,.0f}  ({low:,.0f} to {high:,.0f} in {result.repeats} runs)",
        "batch": f"{result.num_envs} of {result.width} x {result.height}, {images}",
        "scenes": f"{result.num_scenes} of {result.scenes}, {result.triangles_mean:,.0f} triangles each",
        "renderer": f"{result.renderer or 'none'} on {result.gl_renderer or result.device}",
        "device": f"{result.device}: {result.machine}",
        "microseconds per frame": ", ".join(
            f"{stage} {time:,.1f}" for stage, time in result.us_per_frame.items() if time is not None
        ),
        "microseconds per empty frame": ""
        if result.us_per_empty_frame is None
        else f"{result.us_per_empty_frame:,.1f}",
        "rays per second": "" if result.rays_per_second is None else f"{result.rays_per_second:,.0f}",
        "share of limits": ", ".join(
            f"{share:.1%} {_LIMIT_WORDS[name]}" for name, share in result.limit_shares.items()
        ),
        "single steps": _single_steps(result.single_steps),
        "memory": memory,
    }


def _single_steps(steps: dict[str, float] | None) -> str:
    if steps is None:
        return ""
    median, longest = steps["median"], steps["longest"]
    return (
        f"median {1e3 * median:,.1f} ms, longest {1e3 * longest:,.1f} ms ({longest / median:.1f} times), "
        f"{steps['scene_changes']} scene changes"
    )


def print_sweep(sweep: Sweep) -> None:
    """Print a row for each cell: its figures or its error; for ablations also the relative speed."""
    relative = {"relative speed": ratios(sweep)} if "change" in sweep.axes else {}
    names = (name.replace("_", " ") for name in sweep.axes)
    table = Table(*names, "frames/s", "range", *relative, "µs per frame", "host MiB")
    for i, cell in enumerate(sweep.cells):
        if cell.record is None:
            table.add_row(*cell.values.values(), "failed", cell.failure)
            continue
        low, high = cell.record["fps_range"]
        table.add_row(
            *cell.values.values(),
            f"{cell.record['fps']:,.0f}",
            f"{low:,.0f} to {high:,.0f}",
            *("" if ratio[i] is None else f"{ratio[i]:.2f}" for ratio in relative.values()),
            f"{1e6 / cell.record['fps']:,.1f}",
            f"{cell.record['peak_host_bytes'] / 2**20:,.0f}",
        )
    Console().print(table)
