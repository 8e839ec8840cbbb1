"""`eventproof permissions`: what a user of a broker has to be allowed."""

from __future__ import annotations

import click

from eventproof.conformance.targets.nats import ROLES, Role, permissions

ROLE = "What the user does; suite is what `eventproof run --url` needs."
PREFIX = "The adapter's option `prefix`; for the suite its --namespace."
INBOX = "The adapter's option `inbox`."
TOPIC = "Only this topic; may be repeated. Without it every stream of the account."
DEAD_LETTER = "Dead-letter topic of a consumer; may be repeated."


@click.command()
@click.argument("name", type=click.Choice(["nats"]), metavar="nats")
@click.option("--role", type=click.Choice(ROLES), default="suite", show_default=True, help=ROLE)
@click.option("--prefix", "--namespace", help=PREFIX)
@click.option("--inbox", default="_INBOX", show_default=True, help=INBOX)
@click.option("--topic", "topics", multiple=True, help=TOPIC)
@click.option("--dead-letter", "dead_letters", multiple=True, help=DEAD_LETTER)
def command(
    name: str,  # noqa: ARG001 - one as yet
    role: Role,
    prefix: str | None,
    inbox: str,
    topics: tuple[str, ...],
    dead_letters: tuple[str, ...],
) -> None:
    """Print the least permissions that a user needs, as a NATS server's configuration."""
    click.echo(permissions(role, prefix=prefix, inbox=inbox, topics=topics, dead_letters=dead_letters))
