"""The group ristretto255 (RFC 9496) on Python's integers, for checking and not for secrets: nothing here takes constant time."""

from hashlib import sha512

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of -1

Point = tuple[int, int, int, int]  # X, Y, Z, T of the extended twisted Edwards form
IDENTITY: Point = (0, 1, 1, 0)


def _inverse_root(u: int, v: int) -> tuple[bool, int]:
    """sqrt(u / v), or sqrt(ROOT * u / v), the one that is not negative; whether it is the first."""
    r = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    check = v * r * r % P
    if check in (-u % P, -u * ROOT % P):
        r = r * ROOT % P
    return check in (u % P, -u % P), _even(r)


def _even(x: int) -> int:
    """Of x and -x the one that is not negative."""
    return P - x if x & 1 else x


INVERSE_ROOT_A_MINUS_D = _inverse_root(1, -1 - D)[1]
# The square root that RFC 9496 lists is the odd one.
ROOT_AD_MINUS_ONE = P - _inverse_root(-D - 1, 1)[1]


def decode(data: bytes) -> Point:
    """A point from its 32 bytes.

    Raises
    ------
    ValueError
        They are no point, or not written in the one way.
    """
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or s & 1:
        raise ValueError("a commitment is no point of ristretto255")
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, root = _inverse_root(1, v * u2 * u2 % P)
    x_den = root * u2 % P
    x = _even(2 * s * x_den % P)
    y = u1 * root * x_den * v % P
    if not square or x * y % P & 1 or y == 0:
        raise ValueError("a commitment is no point of ristretto255")
    return x, y, 1, x * y % P


def encode(point: Point) -> bytes:
    """The 32 bytes of a point."""
    x0, y0, z0, t0 = point
    u1, u2 = (z0 + y0) * (z0 - y0) % P, x0 * y0 % P
    _, root = _inverse_root(1, u1 * u2 * u2 % P)
    den1, den2 = root * u1 % P, root * u2 % P
    z_inv = den1 * den2 * t0 % P
    x, y, den = x0, y0, den2
    if t0 * z_inv % P & 1:
        x, y, den = y0 * ROOT % P, x0 * ROOT % P, den1 * INVERSE_ROOT_A_MINUS_D % P
    if x * z_inv % P & 1:
        y = P - y
    return _even(den * (z0 - y) % P).to_bytes(32, "little")


def add(one: Point, other: Point) -> Point:
    """The sum of two points."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * D * t1 * t2 % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def negative(point: Point) -> Point:
    """The point that adds up to the identity with this one."""
    x, y, z, t = point
    return -x % P, y, z, -t % P


def is_identity(point: Point) -> bool:
    """Whether it is the group's zero, in any of its four forms."""
    return point[0] % P == 0 or point[1] % P == 0


def multiples(scalars: list[int], points: list[Point]) -> Point:
    """The sum of each scalar times its point, by Pippenger's buckets."""
    width = 6 if len(points) > 100 else 4
    total = IDENTITY
    for shift in reversed(range(0, 256, width)):
        for _ in range(width):
            total = add(total, total)
        buckets: list[Point | None] = [None] * (1 << width)
        for scalar, point in zip(scalars, points, strict=True):
            digit = scalar >> shift & (1 << width) - 1
            if digit:
                kept = buckets[digit]
                buckets[digit] = point if kept is None else add(kept, point)
        running = window = IDENTITY
        for bucket in reversed(buckets[1:]):
            if bucket is not None:
                running = add(running, bucket)
            window = add(window, running)
        total = add(total, window)
    return total


def from_hash(data: bytes) -> Point:
    """The one-way map of 64 bytes to a point."""
    halves = (int.from_bytes(half, "little") % 2**255 % P for half in (data[:32], data[32:]))
    one, other = (_map(half) for half in halves)
    return add(one, other)


def _map(t: int) -> Point:
    r = ROOT * t * t % P
    u = (r + 1) * (1 - D * D) % P
    v = (-1 - r * D) * (r + D) % P
    square, s = _inverse_root(u, v)
    c = P - 1
    if not square:
        s, c = P - _even(s * t % P), r
    n = (c * (r - 1) * (D - 1) ** 2 - v) % P
    w0, w1 = 2 * s * v % P, n * ROOT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


def labelled(label: str, *parts: bytes) -> bytes:
    """SHA-512 of a label and parts, each with its length before it."""
    data = b"".join(len(part).to_bytes(8, "big") + part for part in (label.encode(), *parts))
    return sha512(data).digest()
