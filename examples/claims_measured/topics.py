"""All claims, by topic, in the order of the page."""

from claims_measured import (
    activations,
    cost,
    initialisation,
    normalisation,
    recurrent,
    skips,
    training,
)
from claims_measured.claim import Claim

__all__ = ["CLAIMS"]

CLAIMS = {
    claim.name: claim
    for module in (activations, initialisation, normalisation, skips, recurrent, training, cost)
    for claim in vars(module).values()
    if isinstance(claim, Claim)
}
