"""``hosts``: which hosts words mean, which settings apply to each, and from where. Contacts nobody, asks nothing."""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.cli.call import Call
from mpsbridge.cli.tables import HOST_COLUMNS, host_row
from mpsbridge.errors import InputError
from mpsbridge.inventory.described import FIELDS, DescribedHost, described, row_of
from mpsbridge.inventory.entries import EVERY
from mpsbridge.models.counts import counted
from mpsbridge.models.outcomes import Done
from mpsbridge.schemas import answers
from mpsbridge.settings import Output


def hosts(call: Call, words: Sequence[str], shard: str | None) -> int:
    """``hosts``: a row for each host; for a single one, or with ``-v``, a row for each of its settings."""
    if not words and not call.settings.inventory:
        raise InputError("HOST is missing, and there is no inventory", hint="Name hosts, or give --inventory FILE.")
    meant = call.finder.resolved(words or [EVERY], shard=shard)
    found = [
        Done[DescribedHost](
            host=one.target.host, address=one.target.address, elapsed_s=0.0, value=described(one, call.settings)
        )
        for one in meant
    ]
    terminal, output = call.terminal, call.settings.output
    if output is Output.JSON:
        terminal.document(answers.document(call.command, found))
    elif output is Output.JSONL:
        for each in found:
            terminal.line(answers.line(call.command, each))
    elif output is Output.CSV:
        terminal.csv([row_of(each.host, each.value) for each in found], fields=FIELDS)
    elif len(found) == 1 or call.settings.verbose:
        rows = [(each.host, *row) for each in found for row in _rows(each.value)]
        terminal.table(("HOST", "SETTING", "VALUE", "FROM"), rows)
    elif found:
        terminal.table(HOST_COLUMNS, [host_row(one.target, one.groups) for one in meant])
    if output is Output.TABLE and len(found) != 1 and not call.settings.quiet:
        terminal.say(counted(len(found), "host") + ("; -v tells where each setting comes from" if found else ""))
    return 0


def _rows(value: DescribedHost) -> list[tuple[object, ...]]:
    if not value.settings:
        return [("kind", value.kind, "HOST")]
    groups: list[tuple[object, ...]] = [("groups", ", ".join(value.groups), "inventory")] if value.groups else []
    return groups + [(name, _shown(name, each.value), each.source) for name, each in value.settings.items()]


def _shown(name: str, value: object) -> object:
    if name == "password":
        return "****"
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
