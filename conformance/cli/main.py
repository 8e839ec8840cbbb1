"""The command group, and how errors become one line and an exit code."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from eventproof.adapters.errors import EventproofError
from eventproof.adapters.secret import redacted
from eventproof.conformance.logs import Redacted

CONFORMANT, FAILED, PARTIAL, BROKEN, USAGE = 0, 1, 2, 3, 4
COMMANDS = {
    "run": "Give a verdict per guarantee for a broker.",
    "check": "Judge saved histories again.",
    "replay": "Run one saved scenario on a broker.",
    "cleanup": "Remove what a killed run left on a server that is not ours.",
    "list": "List the requirements.",
    "explain": "Tell one requirement: text, intent, rule, mutants, and where it passed last.",
    "broker": "Start a broker to develop with.",
    "permissions": "Print what a user of a broker has to be allowed.",
    "selftest": "Show that every rule catches a broken broker.",
}


class MissingModule(EventproofError):
    """A command needs what only an extra installs."""


class Lazy(click.Group):
    """Imports a command's module when the command is called: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click gives it
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click gives it
        if cmd_name not in COMMANDS:
            return None
        try:
            module = import_module(f"eventproof.conformance.cli.{cmd_name}")
        except ModuleNotFoundError as missing:
            if (missing.name or "").startswith("eventproof"):
                raise
            needs = f"{cmd_name} needs the Python module {missing.name}"
            raise MissingModule(f"{needs}: pip install 'eventproof[all]'") from missing
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click gives it
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("eventproof"))
def eventproof() -> None:
    """Prove which delivery guarantees a broker keeps.

    Exit codes: 0 conformant, 1 failed, 2 partial, 3 broker or set-up error, 4 usage.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; always ends the process. What adapters log is no part of what it says."""
    logging.getLogger("eventproof").addHandler(logging.NullHandler())
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Redacted())
    # Else Hypothesis leaves a folder of its own wherever the command is called.
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / "hypothesis"))
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        result: Any = eventproof.main(args=arguments, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_text:
        click.echo(help_text.format_message())
        return CONFORMANT
    except click.ClickException as error:
        said = io.StringIO()
        error.show(file=said)
        click.echo(redacted(said.getvalue()), err=True, nl=False)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("eventproof: interrupted", err=True)
        return BROKEN
    except (
        EventproofError,
        OSError,
    ) as error:  # of the system: a folder that cannot be written, no connection
        click.echo(f"eventproof: {redacted(str(error))}", err=True)
        return BROKEN
    return result if isinstance(result, int) else CONFORMANT
