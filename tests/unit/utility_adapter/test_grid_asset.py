"""Equipment above a site: chains, and the direction of transfer that harms."""

from __future__ import annotations

import pytest

from gridcord.metering.records import AssetLoading
from utility_adapter.domain.grid_asset import (
    AssetRegisterError,
    GridAsset,
    chain,
    restriction,
)

POLE = GridAsset(
    asset_id="pole-7",
    kind="pole transformer",
    rated_va=37_500,
    parent_id="bank-2",
    load_limit_percent=90,
    feed_limit_percent=60,
)
BANK = GridAsset(asset_id="bank-2", kind="substation bank", rated_va=10_000_000)
REGISTER = {asset.asset_id: asset for asset in (POLE, BANK)}


def loading(asset_id: str, percent: float) -> AssetLoading:
    return AssetLoading(asset_id=asset_id, loading_percent=percent, measured_s=0)


def test_the_chain_goes_from_the_site_upwards() -> None:
    assert chain(asset_id="pole-7", assets=REGISTER) == (POLE, BANK)
    assert chain(asset_id=None, assets=REGISTER) == ()
    assert POLE.rated_kva == 37.5


def test_a_name_that_is_not_registered_is_said() -> None:
    with pytest.raises(AssetRegisterError, match="pole-8"):
        chain(asset_id="pole-8", assets=REGISTER)


def test_a_chain_that_never_ends_is_said() -> None:
    loop = GridAsset(asset_id="a", kind="feeder", rated_va=1, parent_id="a")
    with pytest.raises(AssetRegisterError, match="more than 16"):
        chain(asset_id="a", assets={"a": loop})


@pytest.mark.parametrize(
    ("pole", "bank", "charge_harms", "discharge_harms"),
    [
        (50.0, 50.0, False, False),
        (90.0, 50.0, True, False),
        (89.9, 100.0, True, False),
        (-60.0, 0.0, False, True),
        (-59.9, 0.0, False, False),
        (95.0, -100.0, True, True),
    ],
)
def test_each_limit_forbids_one_direction(
    pole: float, bank: float, charge_harms: bool, discharge_harms: bool
) -> None:
    loadings = {"pole-7": loading("pole-7", pole), "bank-2": loading("bank-2", bank)}
    found = restriction(above=(POLE, BANK), loadings=loadings)
    assert (found.charge_harms, found.discharge_harms) == (charge_harms, discharge_harms)
    assert bool(found.because) == (charge_harms or discharge_harms)
    assert found.unknown == ()


def test_an_unknown_loading_forbids_nothing_and_is_named() -> None:
    found = restriction(above=(POLE, BANK), loadings={"bank-2": loading("bank-2", 100)})
    assert found.unknown == ("pole-7",)
    assert found.because == (loading("bank-2", 100),)
    assert found.charge_harms


@pytest.mark.parametrize(
    "wrong", [{"rated_va": 0}, {"load_limit_percent": 0.0}, {"feed_limit_percent": float("inf")}]
)
def test_ratings_and_limits_are_positive(wrong: dict[str, float]) -> None:
    fields: dict[str, object] = {"asset_id": "a", "kind": "feeder", "rated_va": 1, **wrong}
    with pytest.raises(ValueError, match="positive"):
        GridAsset(**fields)  # type: ignore[arg-type]
