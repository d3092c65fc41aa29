"""The file of the highest fence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcord.clients.fence_file import FenceFile


def test_the_highest_fence_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "fence"
    assert FenceFile(path).fence == 0
    file = FenceFile(path)
    for fence in (3, 7, 5):
        file.note(fence)
    assert (file.fence, FenceFile(path).fence) == (7, 7)
    assert [each.name for each in path.parent.iterdir()] == ["fence"]


@pytest.mark.parametrize("text", ["", "-1", "seven", "7.0"])
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "fence").write_text(text)
    with pytest.raises(ValueError, match="holds no fence"):
        FenceFile(tmp_path / "fence")
