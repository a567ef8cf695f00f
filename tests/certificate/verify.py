"""A second verifier of certificates, written from ``docs/protocol/certificate.md`` with nothing but Python's standard library.

    python3 tests/certificate/verify.py FILE...

prints what each certifies, or why it does not; ends with 1 where one does not hold. About a second a member.
"""

import json
import math
import struct
import sys
from dataclasses import dataclass
from functools import cache
from hashlib import sha256, sha512
from itertools import pairwise
from pathlib import Path

from ristretto import IDENTITY, ORDER, Point, add, decode, from_hash, is_identity, labelled, multiples, negative

UNIT, OFFSET = 2**18 - 1, 2**18
LOGISTIC, LINEAR, MEAN = range(3)
# Columns of the second matrix.
NEGATIVE, SATURATED, EXCESS, GROUP, SEGMENT, LOW, HEIGHT, AUX = 0, 1, 2, 18, 26, 42, 79, 80


class Invalid(Exception):
    """It is no certificate, or a part of it does not hold."""


class Reader:
    """Bytes from the front on."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """The next ones; Invalid where fewer are left."""
        if self.at + count > len(self.data):
            raise Invalid("it ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def numbers(self, form: str) -> tuple:
        """Big-endian numbers, as ``struct`` names them."""
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))

    def hex_id(self, digits: int) -> bytes:
        """An address or a task's id."""
        text = self.take(2 + digits)
        if text[:2] != b"0x" or any(c not in b"0123456789abcdefABCDEF" for c in text[2:]):
            raise Invalid("an id is none")
        return text


class Transcript:
    """Challenges from everything that was said before."""

    def __init__(self) -> None:
        self.state = labelled("delta certificate proof 1")

    def _step(self, kind: int, label: str, data: bytes = b"") -> bytes:
        parts = b"".join(len(part).to_bytes(8, "big") + part for part in (label.encode(), data))
        return sha512(self.state + bytes([kind]) + parts).digest()

    def absorb(self, label: str, data: bytes) -> None:
        """Takes in data."""
        self.state = self._step(0, label, data)

    def challenge(self, label: str) -> int:
        """A scalar."""
        scalar = int.from_bytes(self._step(1, label), "little") % ORDER
        self.state = self._step(2, label)
        return scalar


@dataclass
class Claim:
    """What all members prove alike, and its bytes."""

    model: int
    features: int
    schema: bytes
    task: bytes
    weights: list[int]
    data: bytes


def read_claim(reader: Reader) -> Claim:
    """The claim at the front; Invalid where there is none."""
    start = reader.at
    model, features = reader.numbers("BB")
    if model > MEAN or not 1 <= features <= 64:
        raise Invalid("its model or the number of features is none")
    for _ in range(features + (model == LINEAR)):
        low, high = reader.numbers("dd")
        if not (math.isfinite(low) and math.isfinite(high) and high / 2 - low / 2 >= sys.float_info.min):
            raise Invalid("bounds are not two numbers, the lower one first")
    schema = reader.data[start : reader.at]
    task = reader.hex_id(64)
    reader.take(32 + 4)  # bundle, round
    weights = list(reader.numbers(f"{features + (model != MEAN)}q"))
    if any(abs(weight) > 2**32 for weight in weights):
        raise Invalid("a weight is above 1,024")
    return Claim(model, features, schema, task, weights, reader.data[start : reader.at])


class Layout:
    """Sizes of one member's proof."""

    def __init__(self, claim: Claim, log_rows: int) -> None:
        if not 4 <= log_rows <= 17:
            raise Invalid("its room for rows is outside the limits")
        self.log_rows = log_rows
        self.label = 19 * claim.features
        self.real = self.label + (1, 19, 0)[claim.model]
        self.data = self.real + 1
        self.aux = AUX if claim.model == LOGISTIC else 0
        self.bits = self.data + max(0, self.aux - 1)
        costs = [(2 << (log_rows - m)) + (self.data << m) for m in range(log_rows)]
        self.log_block = costs.index(min(costs))
        self.commitments = 1 << (log_rows - self.log_block)
        self.signals = len(claim.weights) + 1
        inner, last = ((5, 9), (3, 6), (3, 5))[claim.model]
        self.degrees = [inner] * (log_rows - 1) + [last]
        self.pads = sum(self.degrees)
        self.points = self.commitments + 5 if self.aux else 4
        self.opened = (self.data << self.log_block) + 1 + bool(self.aux) * ((self.aux << self.log_block) + 1)
        self.response = self.pads + 1 + self.signals + 1

    def words(self) -> int:
        """Points and scalars of a message."""
        return self.signals + self.commitments + self.points + self.pads + self.opened + 1 + self.response


def scalars(data: bytes) -> list[int]:
    """Scalars from their bytes; Invalid where one is not below the order."""
    out = [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]
    if any(scalar >= ORDER for scalar in out):
        raise Invalid("a scalar is not below the group's order")
    return out


def points(data: bytes) -> list[Point]:
    """Points from their bytes; Invalid where one is none."""
    try:
        return [decode(data[at : at + 32]) for at in range(0, len(data), 32)]
    except ValueError as error:
        raise Invalid(str(error)) from None


@cache
def generator(at: int | None) -> Point:
    """One of the generators; the blinding one for None."""
    if at is None:
        return from_hash(labelled("delta certificate blinding 1"))
    return from_hash(labelled("delta certificate generator 1", at.to_bytes(8, "big")))


@cache
def parabolas() -> list[tuple[int, int, int]]:
    """Coefficients of each of the 128 segments of the sigmoid."""
    one = 1 << 62
    x = (1 << 14) * one // UNIT
    term, first, n = one, 0, 0
    while term > 0:
        first = first - term if n % 2 else first + term
        n += 1
        term = (term * x >> 62) // n
    heights, power = [], one
    for _ in range(257):
        heights.append(((one - power) << 55) // (one + power))
        power = power * first >> 62
    out = []
    for left, middle, right in zip(heights[:-1:2], heights[1::2], heights[2::2], strict=True):
        linear, square = 4 * middle - 3 * left - right, 2 * (left + right) - 4 * middle
        c0 = ((left << 30) + (linear << 15) + square + (1 << 29)) >> 30
        out.append((c0, ((linear << 14) + square + (1 << 27)) >> 28, (square + (1 << 27)) >> 28))
    return out


def powers(x: int, count: int) -> list[int]:
    """1, x, x^2, ..."""
    out = [1]
    while len(out) < count:
        out.append(out[-1] * x % ORDER)
    return out[:count]


def equality(point: list[int]) -> list[int]:
    """eq(point, i) of every i; bit k of i belongs to the k-th coordinate."""
    table = [1]
    for coordinate in point:
        high = [value * coordinate % ORDER for value in table]
        table = [low - top for low, top in zip(table, high, strict=True)] + high
    return table


def dot(one: list[int], other: list[int]) -> int:
    """Sum of products."""
    return sum(a * b for a, b in zip(one, other, strict=True)) % ORDER


def number(bits: list[int]) -> int:
    """What bits stand for, the lowest first."""
    return sum(bit << at for at, bit in enumerate(bits))


def summand(claim: Claim, layout: Layout, columns: list[int], gamma: int, lambdas: list[int], equal: int) -> int:
    """What is summed over rows, at any point: section "What holds of a row"."""
    gammas = powers(gamma, 2 * layout.bits + 5)
    bits = columns[: layout.bits]
    rules = dot(gammas[0 : 2 * layout.bits : 2], [bit * bit - bit for bit in bits])
    features = [number(columns[19 * j : 19 * j + 19]) - OFFSET for j in range(claim.features)]
    real, count = columns[layout.real], lambdas[-1]
    if claim.model == MEAN:
        mixed = dot(lambdas[:-1], [x * 2**22 - w * UNIT for x, w in zip(features, claim.weights, strict=True)])
        return (equal * rules + real * (mixed + count)) % ORDER
    inputs = [*features, UNIT]
    mixed, u = dot(lambdas[:-1], inputs), dot(claim.weights, inputs)
    if claim.model == LINEAR:
        label = number(columns[layout.label : layout.label + 19]) - OFFSET
        return (equal * rules + real * (mixed * (label * 2**22 - u) + count)) % ORDER
    aux = columns[layout.data :]
    sign, saturated = 1 - 2 * aux[NEGATIVE], aux[SATURATED]
    excess, groups, segments = number(aux[EXCESS:GROUP]), aux[GROUP:SEGMENT], aux[SEGMENT:LOW]
    segment = sum(16 * g * mark for g, mark in enumerate(groups)) + sum(k * mark for k, mark in enumerate(segments))
    size = segment * 2**37 + number(aux[LOW:HEIGHT]) + saturated * 2**44 + excess * 2**41
    step = number(aux[HEIGHT - 14 : HEIGHT])
    height = saturated * 2**55
    for g, mark in enumerate(groups):
        ours = parabolas()[16 * g : 16 * g + 16]
        c0, c1, c2 = (sum(m * c[power] for m, c in zip(segments, ours, strict=True)) % ORDER for power in range(3))
        height += mark * (c0 + step * (c1 + step * c2))
    kept = [
        sign * u - size,
        excess * (1 - saturated),
        sum(groups) + saturated - 1,
        sum(segments) - 1,
        aux[HEIGHT] - height,
    ]
    rules += dot(gammas[2 * layout.bits :], kept)
    residual = columns[layout.label] * 2**56 - 2**55 - sign * aux[HEIGHT]
    return (equal * rules + real * (mixed * residual + count)) % ORDER


@dataclass
class Member:
    """A member's message, checked."""

    address: bytes
    peers: dict[bytes, bytes]
    signals: list[int]
    rows: int
    commitment: str


def check_member(claim: Claim, data: bytes) -> Member:
    """Checks one message; Invalid where it is no proof of the claim."""
    reader = Reader(data)
    magic, version, log_rows = reader.numbers("8sHB")
    if magic != b"DELTAPRF" or version != 1:
        raise Invalid("it does not begin as a proof of version 1 does")
    layout = Layout(claim, log_rows)
    address = reader.hex_id(40)
    (count,) = reader.numbers("H")
    if not 1 <= count <= 999 or len(data) != 55 + 74 * count + 32 * layout.words():
        raise Invalid("its length does not fit its claim")
    peers = [(reader.hex_id(40), reader.take(32)) for _ in range(count)]
    if any(a >= b for (a, _), (b, _) in pairwise(peers)) or address in dict(peers):
        raise Invalid("its peers are not in ascending order, or one is the member")
    signals = scalars(reader.take(32 * layout.signals))
    table = reader.take(32 * layout.commitments)

    transcript = Transcript()
    transcript.absorb("claim", claim.data)
    transcript.absorb("part", data[: reader.at])
    new = reader.take(32 * layout.points)
    transcript.absorb("commitments", new)
    tau = [transcript.challenge("tau") for _ in range(log_rows)]
    gamma, lam = transcript.challenge("gamma"), transcript.challenge("lambda")
    lambdas = powers(lam, layout.signals + 1)[1:]
    followed, rho = dot(lambdas, signals), []
    for degree in layout.degrees:
        words = reader.take(32 * degree)
        transcript.absorb("round", words)
        x = transcript.challenge("rho")
        followed = (followed * x + dot(scalars(words), factors(x, degree))) % ORDER
        rho.append(x)

    words = reader.take(32 * layout.opened)
    transcript.absorb("opening", words)
    opened = scalars(words)
    product = reader.take(32)
    transcript.absorb("product", product)
    e = transcript.challenge("e")
    response = scalars(reader.take(32 * layout.response))
    split = layout.data << layout.log_block
    matrices = [(opened[:split], opened[split])]
    if layout.aux:
        matrices.append((opened[split + 1 : -1], opened[-1]))
    in_block, of_blocks = equality(rho[: layout.log_block]), equality(rho[layout.log_block :])
    columns = []
    for values, _ in matrices:
        width = len(values) >> layout.log_block
        columns += [dot(in_block, values[c::width]) for c in range(width)]
    equal = math.prod((t * r + (1 - t) * (1 - r)) % ORDER for t, r in zip(tau, rho, strict=True)) % ORDER
    end = summand(claim, layout, columns, gamma, lambdas, equal)

    pads, masks = response[: layout.pads + 1], response[layout.pads + 1 :]
    later, of_pads = 1, []
    for x, degree in reversed(list(zip(rho, layout.degrees, strict=True))):
        of_pads = [factor * later % ORDER for factor in factors(x, degree)] + of_pads
        later = later * x % ORDER
    of_masks = [weight * later % ORDER for weight in lambdas]
    answered = dot(of_pads, pads[:-1]) + dot(of_masks, masks[:-1])
    if (answered - (followed - end) * e - scalars(product)[0]) % ORDER:
        raise Invalid("the rounds do not lead from the sums to the rows")

    table_points, new_points = points(table), points(new)
    blocks = [table_points, new_points[: layout.commitments]]
    veils, tail = new_points[-3 - len(matrices) : -3], new_points[-3:]
    bump = rho[-1] * (1 - rho[-1]) % ORDER
    for (values, blinding), block, veil in zip(matrices, blocks, veils, strict=False):
        opens([*of_blocks, bump], [*block, veil], values, blinding)
    mask = IDENTITY
    for (peer, _), point in zip(peers, points(b"".join(commitment for _, commitment in peers)), strict=True):
        mask = add(mask, point if address < peer else negative(point))
    opens([e, 1], [tail[0], tail[1]], pads[:-1], pads[-1])
    opens([e, 1], [mask, tail[2]], masks[:-1], masks[-1])
    parts = (b"delta certificate table 1", claim.task, address, claim.schema, bytes([log_rows]), table)
    digest = sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
    return Member(address, dict(peers), signals, 1 << log_rows, "0x" + digest)


def factors(x: int, degree: int) -> list[int]:
    """What each coefficient of a round's message adds to the claim after it."""
    return [1 - 2 * x] + [power - x for power in powers(x, degree + 1)[2:]]


def opens(weights: list[int], commitments: list[Point], values: list[int], blinding: int) -> None:
    """Whether these commitments, weighted, are one to these values; Invalid where they are not."""
    left = [weight % ORDER for weight in weights]
    right = [-value % ORDER for value in (*values, blinding)]
    bases = [generator(at) for at in (*range(len(values)), None)]
    if not is_identity(multiples(left + right, commitments + bases)):
        raise Invalid("what is opened is not what was committed to")


def judge(data: bytes) -> dict:
    """What a certificate certifies.

    Raises
    ------
    Invalid
        It is none, or a part of it does not hold.
    """
    reader = Reader(data)
    magic, version = reader.numbers("8sH")
    if magic != b"DELTACRT" or version != 1:
        raise Invalid("it does not begin as a certificate of version 1 does")
    claim = read_claim(reader)
    tolerance, count = reader.numbers("dH")
    if not 1e-5 <= tolerance <= 0.1 or not 2 <= count <= 1000:
        raise Invalid("its tolerance or the number of members is none")
    members = [check_member(claim, reader.take(*reader.numbers("I"))) for _ in range(count)]
    if reader.at != len(data) or any(a.address >= b.address for a, b in pairwise(members)):
        raise Invalid("bytes are left, or members are not in ascending order")
    published = {(member.address, peer): c for member in members for peer, c in member.peers.items()}
    if any(published.get((b, a)) != commitment for (a, b), commitment in published.items()):
        raise Invalid("two members did not publish the same commitment to their masks")
    sums = [sum(column) % ORDER for column in zip(*(member.signals for member in members), strict=True)]
    *sums, rows = [value if value < ORDER // 2 else value - ORDER for value in sums]
    if not 1 <= rows <= sum(member.rows for member in members) or any(abs(value) >= 2**120 for value in sums):
        raise Invalid("the sums over members are out of range")
    unit = (UNIT * 2**56, UNIT * UNIT * 2**22, UNIT * 2**22)[claim.model]
    norm = float(max(abs(value) for value in sums)) / float(unit) / float(rows)
    return {
        "rows": rows,
        "norm": norm,
        "tolerance": tolerance,
        "holds": norm <= tolerance,
        "members": {member.address.decode(): member.commitment for member in members},
    }


def main() -> int:
    """Judges the files that are named on the command line."""
    code = 0
    for name in sys.argv[1:]:
        try:
            verdict = judge(Path(name).read_bytes())
        except Invalid as error:
            verdict = {"invalid": str(error), "holds": False}
        code |= not verdict["holds"]
        print(json.dumps({"file": name, **verdict}, indent=2))
    return code


if __name__ == "__main__":
    sys.exit(main())
