"""Broken brokers that the rules must catch, and odd ones that they must not."""

from eventproof.conformance.mutants import copies, identity, kills, loss, order, participants, retry
from eventproof.conformance.mutants.mutant import Mutant
from eventproof.conformance.mutants.odd import ODD

MUTANTS: tuple[Mutant, ...] = (
    *identity.MUTANTS,
    *loss.MUTANTS,
    *copies.MUTANTS,
    *order.MUTANTS,
    *retry.MUTANTS,
    *kills.MUTANTS,
    *participants.MUTANTS,
)

__all__ = ["MUTANTS", "ODD", "Mutant"]
