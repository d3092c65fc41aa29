"""What the aggregator decided, from settings to the values that the domain takes."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from gridcord.chassis.settings import SettingsError
from gridcord.evidence.signature import SignatureError, Signer
from gridcord.evidence.signing_key import read_signing_key
from gridcord.metering.matching import MatchPolicy, MatchRule
from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.tariff import Proration, Tariff, TariffBook
from gridcord.settlement.terms import SettlementRule, Terms
from gridcord.units import Money, Price
from manager.domain.bidding.offers import OfferRules
from manager.domain.dispatch.conduct import ConductRules
from manager.domain.dispatch.steering import SteeringRules
from manager.domain.trust.block_rules import DAY_S, BlockPolicy
from manager.domain.trust.permission import PermissionPolicy
from manager.settings import (
    EvidenceSettings,
    ManagerSettings,
    PermissionSettings,
    TariffSettings,
)
from manager.storage.derivation.projection import ProjectionPolicy
from manager.storage.derivation.site_checks import CheckPolicy
from manager.storage.engine import Database
from manager.storage.ledger.terms import adopt_match_policy, adopt_terms
from manager.terms_file import read_terms
from manager.usecases.dispatch import DispatchPolicy
from manager.usecases.prove_sites import ProofPolicy

_NOTE_S = 10.0  # a manager that starts anew forgets no more of a period than that


def permission_policy(settings: PermissionSettings) -> PermissionPolicy:
    """What is withheld, and from whom."""
    return PermissionPolicy(
        unidentified=settings.unidentified,
        clone_suspected=settings.clone_suspected,
        loading_limit_percent=settings.loading_limit_percent,
        loading_release_percent=settings.loading_release_percent,
        charge_to_percent=settings.charge_to_percent,
    )


def block_policy(settings: PermissionSettings) -> BlockPolicy:
    """What a block withholds and how long it lasts."""
    return BlockPolicy(
        mismatched=settings.mismatched,
        location_mismatched=settings.location_mismatched,
        expires_s=_seconds(settings.block_expires_days),
        review_s=_seconds(settings.block_review_days),
    )


def proof_policy(settings: ManagerSettings) -> ProofPolicy:
    """How proofs are made, and how soon a suspected site is asked again."""
    return ProofPolicy(
        reading_s=settings.match.proof_reading_s,
        again_s=settings.match.proof_again_s,
        repeat_s=settings.match.proof_repeat_s,
        lease_s=settings.session.setpoint_lease_s,
    )


def check_policy(settings: ManagerSettings) -> CheckPolicy:
    """How the manager concludes about sites."""
    match = settings.match
    return CheckPolicy(
        match=MatchPolicy(rule=MatchRule(match.rule), difference_wh=match.difference_wh),
        blocks=block_policy(settings.permission),
        grace_s=match.reading_grace_s,
        history_s=match.history_days * DAY_S,
        period_s=settings.period_s,
        position_tolerance_m=match.position_tolerance_m,
        has_utility=settings.utility is not None,
        believed_s=match.proof_again_s,
    )


def settlement_terms(settings: ManagerSettings) -> Terms:
    """What turns facts into money.

    Raises:
        ValueError: A price is none, or the file of terms cannot be used.
    """
    chosen = settings.settlement
    rule = SettlementRule(
        pay_unread=chosen.pay_unread,
        pay_undecided=chosen.pay_undecided,
        imbalance_percent=chosen.imbalance_percent,
    )
    tariffs = tariff_book(settings.tariff)
    if chosen.terms is None:
        return Terms(rule=rule, tariffs=tariffs)
    return read_terms(chosen.terms, rule=rule, default=tariffs)


def adopted_terms(database: Database, settings: ManagerSettings, *, now_s: int) -> Terms:
    """What the ledger goes by: what it went by before, and what settings add.

    Raises:
        ValueError: Settings cannot be used, or contradict what the ledger rests on.
    """
    given, match = settlement_terms(settings), check_policy(settings).match

    def work(connection: Connection) -> Terms:
        adopt_match_policy(connection, match, now_s=now_s)
        return adopt_terms(connection, given, now_s=now_s, period_s=settings.period_s)

    return database.write_now(work)


def projection_policy(settings: ManagerSettings, terms: Terms) -> ProjectionPolicy:
    """What projecting needs to know."""
    return ProjectionPolicy(
        terms=terms,
        sample_matched=settings.match.sample_matched,
        proof_failed=settings.permission.mismatched,
    )


def dispatch_policy(settings: ManagerSettings) -> DispatchPolicy:
    """How the fleet is steered."""
    dispatch, session = settings.dispatch, settings.session
    return DispatchPolicy(
        steering=SteeringRules(
            horizon_s=session.setpoint_lease_s,
            ready_early_s=dispatch.ready_early_s,
            ramp_w_per_s=dispatch.ramp_w_per_s,
            random_offset_s=dispatch.random_offset_s,
            dwell_s=dispatch.dwell_s,
            conduct=ConductRules(
                # A telemetry may just miss a setpoint, and the next one a change of it.
                follow_s=2 * (dispatch.tick_s + session.telemetry_interval_s),
                hold_s=dispatch.refused_hold_s,
            ),
        ),
        efficiency_permille=round(dispatch.efficiency_percent * 10),
        loading_limit_percent=settings.permission.loading_limit_percent,
        note_s=min(_NOTE_S, settings.period_s / 10),
        period_s=settings.period_s,
    )


def offer_rules(settings: ManagerSettings) -> OfferRules:
    """What the operator decided on bids.

    Raises:
        ValueError: A price is none.
    """
    bidding, currency = settings.bidding, settings.tariff.currency
    sell, buy, wear = (
        Price.per_kwh(currency, text).micros_per_kwh
        for text in (bidding.sell_at_least, bidding.buy_at_most, bidding.wear_per_kwh)
    )
    return OfferRules(
        confidence=bidding.confidence,
        sell_micros_per_kwh=sell,
        buy_micros_per_kwh=buy,
        wear_micros_per_kwh=wear,
        deviation_micros_per_kwh=max(sell, buy),
        efficiency_permille=round(settings.dispatch.efficiency_percent * 10),
        price_days=bidding.price_days,
        zone=settings.tariff.zone,
    )


def tariff_book(settings: TariffSettings) -> TariffBook[Tariff]:
    """What drivers earn.

    Raises:
        ValueError: A price or amount is none.
    """
    currency = settings.currency
    prices = Prices(
        taken=Price.per_kwh(currency, settings.charge_per_kwh),
        given=Price.per_kwh(currency, settings.discharge_per_kwh),
    )
    standard = Tariff(
        tariff_id="standard",
        version=1,
        schedule=Schedule(zone=settings.zone, base=prices),
        availability=Money.of(currency, settings.availability),
        proration=Proration(settings.proration),
    )
    return TariffBook([standard])


def bundle_signer(settings: EvidenceSettings) -> Signer | None:
    """Who signs bundles of evidence; None when nobody does.

    Raises:
        SettingsError: The key cannot be used.
    """
    if settings.signing_key is None:
        return None
    try:
        return read_signing_key(settings.signing_key)
    except SignatureError as error:
        message = f"evidence.signing_key: {error}"
        raise SettingsError(message) from error


def _seconds(days: float | None) -> int | None:
    return None if days is None else int(days * DAY_S)
