"""All commands, put together."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

import lezha
from lezha.cli import (
    audit,
    backup,
    carry,
    community,
    console,
    constituent,
    doctor,
    exporting,
    identity,
    importing,
    interrupt,
    isolate,
    node,
    objects,
    peer,
    policy,
    publish,
    quarantine,
    recall,
    release,
    sensor,
    store,
    token,
)
from lezha.cli.demo.command import demo
from lezha.cli.errors import CliError
from lezha.node.errors import NodeError
from lezha.store.errors import StoreError

app = typer.Typer(
    name="lezha",
    help="The node that a CSIRT runs to warn its allies and to be warned by them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(node.init)
app.command("serve")(node.serve)
app.command("doctor")(doctor.doctor)
app.command("publish")(publish.publish)
app.command("recall")(recall.recall)
app.command("isolate")(isolate.isolate)
app.command("import")(importing.import_files)
app.command("export")(exporting.export)
app.command("sensor")(sensor.sensor)
app.command("restore")(backup.restore)
app.command("demo")(demo)
app.add_typer(backup.app, name="backup")
app.add_typer(objects.app, name="objects")
app.add_typer(identity.app, name="identity")
app.add_typer(peer.app, name="peer")
app.add_typer(carry.app, name="carry")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(community.app, name="community")
app.add_typer(constituent.app, name="constituent")
app.add_typer(policy.app, name="policy")
app.add_typer(release.app, name="release")
app.add_typer(store.app, name="store")
app.add_typer(token.app, name="token")
app.add_typer(audit.app, name="audit")


@app.callback(invoke_without_command=True)
def version(
    ctx: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")
) -> None:
    """Print the version, or go on to a command."""
    if version:
        typer.echo(f"lezha {lezha.__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        raise typer.Exit(2)


def run() -> None:
    """Run the command line; every foreseen error becomes one sentence and an exit code."""
    try:
        with console.written_out():
            _check_text(sys.argv[1:])
            app()
    except CliError as error:
        _leave(error, str(error), error.exit_code)
    except (NodeError, StoreError) as error:
        _leave(error, str(error), 1)
    except SystemExit as ended:
        if ended.code == interrupt.CODE:
            interrupt.say()
        raise
    except BaseException as error:
        if not interrupt.came(error):
            raise
        _leave(error, "", interrupt.CODE)
    finally:
        interrupt.at_once()


def _check_text(arguments: Sequence[str]) -> None:
    """Raise CliError if an argument is not UTF-8: on its way to the node it would become another one."""
    for one in arguments:
        try:
            one.encode()
        except UnicodeEncodeError:
            raise CliError(f"An argument is not text in UTF-8: {os.fsencode(one)!r}.", 2) from None


def _leave(error: BaseException, words: str, code: int) -> NoReturn:
    if interrupt.came(error):
        interrupt.say()
        sys.exit(interrupt.CODE)
    console.fail(words, code)
