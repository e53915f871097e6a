"""Reads measures out of the info of a vector step."""

from __future__ import annotations

_OTHERS = {"final_obs", "final_info", "position", "heading"}


def measures(info):
    """The measures of all environments, whole batches (torch infos): those before a reset where one followed."""
    info = info.get("final_info", info)
    return {name: value for name, value in info.items() if not name.startswith("_") and name not in _OTHERS}


def row_info(info, i):
    """What environment i reports (numpy infos): the info of its own step, also if the next episode has started."""
    final = info.get("_final_info")
    info = info["final_info"] if final is not None and final[i] else info
    return {
        name: value[i]
        for name, value in info.items()
        if not name.startswith("_") and name not in ("final_obs", "final_info") and info[f"_{name}"][i]
    }
