"""A second, slow and obvious decoder of the bodies of frames, written from docs/reference/wire.md alone.

1. The size: exact, or at least that of the fixed part where more may follow.
2. Field by field in the order of their offsets, as BODIES lists them.
3. What follows the fixed part: a name, the members, or bytes without a meaning here.
"""

from dataclasses import dataclass

Value = int | str | list[dict[str, int | str]]

NAME_BYTES_MAX = 64
MEMBERS_MAX = 16
VOTERS_MAX = 9
MEMBER_BYTES = 24


class BodyTwinError(Exception):
    """The payload is not a body of its kind; the name and the facts are those of the test vectors."""

    def __init__(self, error: str, **facts: int | str) -> None:
        super().__init__(f"{error} {facts}")
        self.error = error
        self.facts = facts


@dataclass(frozen=True)
class Number:
    """A number of so many bytes; `above_zero` is how an error calls it when 0 has no meaning."""

    name: str
    size: int
    above_zero: str | None = None


@dataclass(frozen=True)
class Choice:
    """One byte, and what its values are called; `field` is how an error calls it."""

    name: str
    field: str
    values: tuple[str, ...]
    size: int = 1


@dataclass(frozen=True)
class Zeros:
    """Reserved bytes."""

    size: int


Field = Number | Choice | Zeros

WHAT_DIFFERS = Choice("what", "what", ("output", "digest"))
REASON = Choice("reason", "reason", ("closed", "expired", "evicted", "revoked"))
STEP = Choice("what", "what", ("wanted", "verified"))
OWNER_KIND = Choice("owner_kind", "owner kind", ("service", "class"))
ROLE = Choice("role", "role", ("voter", "learner"))
RETENTION = Choice("what", "what", ("archived", "pin", "unpin"))

# The fixed part of each kind, and what may follow it.
BODIES: dict[int, tuple[str, list[Field], str]] = {
    1: ("new_term", [Number("term", 8), Number("previous", 8), Number("leader", 4), Zeros(4)], ""),
    2: ("message", [], "bytes"),
    3: ("output", [], "bytes"),
    4: ("output_end", [], ""),
    5: ("progress", [Number("digest", 8)], ""),
    6: (
        "divergence_report",
        [Number("replica", 4), WHAT_DIFFERS, Zeros(3), Number("expected", 8), Number("actual", 8)],
        "",
    ),
    7: ("skip", [], ""),
    8: ("sequenced_query", [Number("service", 4), Zeros(4)], "request"),
    9: (
        "session_open",
        [Number("timeout_ns", 8), Number("group", 4), Number("class", 2), Number("name_bytes", 2)],
        "name",
    ),
    10: ("session_close", [REASON, Zeros(7)], ""),
    11: ("tick", [], ""),
    12: ("role_granted", [Number("group", 4, "group"), Number("session_epoch", 4)], ""),
    13: ("snapshot_marker", [STEP, Zeros(7), Number("position", 8)], ""),
    14: ("membership", [Number("next_id", 4), Number("count", 4)], "members"),
    15: ("trim_floor", [Number("floor", 8)], ""),
    16: (
        "schema_registration",
        [
            Number("id", 2, "schema id"),
            Number("version", 2),
            OWNER_KIND,
            Zeros(3),
            Number("owner", 4),
            Zeros(4),
        ],
        "",
    ),
    17: (
        "service_registration",
        [
            Number("version", 8),
            Number("hold_bytes_max", 8),
            Number("tick_ns", 8),
            Number("agree", 2, "agree"),
            Number("name_bytes", 2),
            Zeros(4),
        ],
        "name",
    ),
    18: ("promote", [Number("version", 8), Number("at", 8)], ""),
    19: ("cancel", [], ""),
    20: ("rollback", [Number("at", 8)], ""),
    21: ("cluster_version", [], "bytes"),
    22: (
        "retention",
        [RETENTION, Zeros(7), Number("position", 8), Number("bytes_max", 8), Number("id", 8)],
        "",
    ),
}
# Which fields have a meaning for what a retention frame says; the others are reserved.
RETENTION_FIELDS = {
    "archived": {"position"},
    "pin": {"position", "bytes_max", "id"},
    "unpin": {"id"},
}


def decode(kind: int, payload: bytes) -> dict[str, Value]:
    """Read the fields of the payload of a frame of this kind by name."""
    _, fields, tail = BODIES[kind]
    fixed = sum(field.size for field in fields)
    if len(payload) < fixed or (len(payload) > fixed and not tail):
        raise BodyTwinError("Length", expected=fixed, found=len(payload))
    body = _read(payload, 0, fields)
    rest = payload[fixed:]
    match tail:
        case "":
            pass
        case "name":
            length = body.pop("name_bytes")
            assert isinstance(length, int)
            body["name"] = _name(rest, length, fixed)
        case "members":
            count, next_id = body.pop("count"), body["next_id"]
            assert isinstance(count, int) and isinstance(next_id, int)
            body["members"] = _members(rest, count, next_id)
        case _:
            body[tail] = rest.hex()
    return body


def _read(payload: bytes, at: int, fields: list[Field]) -> dict[str, Value]:
    """Read fields one after another from offset `at` on."""
    body: dict[str, Value] = {}
    for field in fields:
        taken = payload[at : at + field.size]
        number = int.from_bytes(taken, "little")
        match field:
            case Zeros():
                if number != 0:
                    raise BodyTwinError("Reserved", at=at)
            case Choice():
                if number >= len(field.values):
                    raise BodyTwinError("Value", field=field.field, found=number)
                body[field.name] = field.values[number]
            case Number():
                if number == 0 and field.above_zero is not None:
                    raise BodyTwinError("Value", field=field.above_zero, found=0)
                _check_beside(body, field.name, number, at)
                body[field.name] = number
        at += field.size
    return body


def _check_beside(body: dict[str, Value], name: str, number: int, at: int) -> None:
    """Check a number whose meaning depends on a choice before it."""
    what = body.get("what")
    if name == "position" and what == "wanted" and number != 0:
        raise BodyTwinError("Value", field="position", found=number)
    if name == "owner" and body["owner_kind"] == "class" and number >= 2**16:
        raise BodyTwinError("Value", field="class", found=number)
    if what in RETENTION_FIELDS and name not in RETENTION_FIELDS[str(what)] and number != 0:
        raise BodyTwinError("Reserved", at=at)


def _name(rest: bytes, length: int, fixed: int) -> str:
    if not 1 <= length <= NAME_BYTES_MAX:
        raise BodyTwinError("Value", field="name length", found=length)
    if len(rest) != length:
        raise BodyTwinError("Length", expected=fixed + length, found=fixed + len(rest))
    try:
        return rest.decode()
    except UnicodeDecodeError as error:
        raise BodyTwinError("Value", field="name byte", found=error.start) from error


def _members(rest: bytes, count: int, next_id: int) -> list[dict[str, int | str]]:
    if not 1 <= count <= MEMBERS_MAX:
        raise BodyTwinError("Value", field="count", found=count)
    if len(rest) != count * MEMBER_BYTES:
        raise BodyTwinError("Length", expected=8 + count * MEMBER_BYTES, found=8 + len(rest))
    members: list[dict[str, int | str]] = []
    last = 0
    for start in range(0, len(rest), MEMBER_BYTES):
        member = rest[start : start + MEMBER_BYTES]
        number = int.from_bytes(member[:4], "little")
        if not last < number < next_id:
            raise BodyTwinError("Value", field="member id", found=number)
        last = number
        role = _read(bytes(8) + rest, 8 + start + 4, [ROLE, Zeros(3)])["role"]
        members.append({"id": number, "role": str(role), "data": member[8:].hex()})
    voters = sum(member["role"] == "voter" for member in members)
    if not 1 <= voters <= VOTERS_MAX:
        raise BodyTwinError("Value", field="voters", found=voters)
    return members
