"""All videos of a report, encoded while the next replay is drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.report.replays.replay_video import ReplayVideo, make_video
from batchsim.agents.report.reported_run import ReportedRun

# Replays that wait for an encoder or are being encoded; one of 500 steps takes about 100 MB.
_MAX_PENDING = 3
_ENCODERS = 2

_Key = tuple[int, str, str]


@dataclass(frozen=True)
class VideoSet:
    """Videos, and their indices by the agent's index, scene and episode."""

    videos: tuple[ReplayVideo, ...] = ()
    index: Mapping[_Key, int] = field(default_factory=dict)

    def find(self, agent: int, record: EpisodeRecord) -> int | None:
        """The index of the video of this agent's episode, if there is one."""
        return self.index.get((agent, *record.key))


def make_videos(runs: Sequence[ReportedRun]) -> VideoSet:
    """Encode the replays of all runs, in their order."""
    index: dict[_Key, int] = {}
    pending: deque[Future[ReplayVideo]] = deque()
    videos: list[ReplayVideo] = []
    with ThreadPoolExecutor(_ENCODERS) as pool:
        for agent, run in enumerate(runs):
            for replay in run.replays:
                index[agent, replay.scene, replay.episode_id] = len(videos) + len(pending)
                pending.append(pool.submit(make_video, replay))
                if len(pending) > _MAX_PENDING:
                    videos.append(pending.popleft().result())
        videos += [future.result() for future in pending]
    return VideoSet(tuple(videos), index)
