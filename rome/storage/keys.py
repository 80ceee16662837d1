r"""Order-preserving key encoding: tuples of SQL values as bytes that sort as SQLite sorts the values.

    code        element                                    the bytes after the code
    00          (reserved: terminators and markers)
    01          NULL, and NaN, which SQLite stores as NULL  none
    02          (reserved: AFTER_NULL)
    0b          float less than -2^63, and -infinity       image
    0c .. 13    integer part negative, of 8 .. 1 bytes     one's complement of the magnitude, fraction
    14          integer part 0                             fraction
    15 .. 1c    integer part positive, of 1 .. 8 bytes     magnitude, fraction
    1d          float of 2^63 or more, and infinity        image
    20          text                                       UTF-8 with 00 → 00 ff, then 00
    30          blob                                       the bytes with 00 → 00 ff, then 00
    ff          (reserved: no element and no key begins with it, but ends of ranges do)

    fraction    00 for an integer; 01 and the image for a float with a fraction
    image       the 8 bytes of an IEEE double, big-endian; sign bit flipped when positive, all bits when negative

Why it sorts. An integer's code gives the length of its magnitude, so a longer one sorts further from zero before any
magnitude is compared. A float with a fraction sorts directly after its floor: both have the same bytes up to the
fraction, where 01 sorts after the integer's 00, and floats of one floor are in the order of their images. So 1 and 1.0
are the same key (`decode` returns an integer), and no number is rounded, however large it is. A terminator 00 is
followed by an element code or by nothing, an escaped 00 by ff: a text sorts before every longer text that begins with
it.

No element's encoding is a prefix of another's, so a tuple can be split into its elements, and all keys that begin with
the elements of a prefix are in [prefix, prefix_end(prefix)).

An index entry is the encoded columns, the row key, and the length of the row key in 2 bytes: an engine finds the row
key from the end, without parsing. Collations are applied before encoding (`rome.values.collate`), and
`rome.catalog.key_codec` says which values are a table's or an index's keys.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence

from rome.errors import DataError, FormatError
from rome.values import Columns, SqlValue

AFTER_NULL = b"\x02"
"""The smallest bytes greater than every NULL element: the range of an element that is not NULL begins here."""

_NULL = 0x01
_BELOW = 0x0B
_ZERO = 0x14
_POSITIVE = tuple(bytes((_ZERO + size,)) for size in range(9))
"""By their size in bytes: the first byte of positive integers."""
_ABOVE = 0x1D
_TEXT = 0x20
_BLOB = 0x30

_INT_MIN = -(2**63)
_INT_END = 2**63
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_LONGEST_ROW_KEY = 0xFFFF

_double = struct.Struct(">d")
_bits = struct.Struct(">Q")
_length = struct.Struct(">H")


def encode(values: Iterable[SqlValue]) -> bytes:
    """Return the key of a tuple of values. Raise DataError for a value that SQLite cannot store."""
    key = b""
    for value in values:
        kind = type(value)
        if kind is int:
            key += _SMALL[value] if 0 <= value < 1024 else encode_int(value)  # type: ignore[operator, index, arg-type]
        elif kind is str:
            key += _encode_text(value)  # type: ignore[arg-type]
        else:
            key += _encode_other(value)
    return key


def encode_each(columns: Columns) -> list[bytes]:
    """Return the key of each of many tuples, as `encode` does one by one. Raise DataError."""
    if len(columns) == 1:
        return _encode_column(columns[0])
    return list(map(b"".join, zip(*map(_encode_column, columns), strict=True)))


def _encode_column(values: Sequence[SqlValue]) -> list[bytes]:
    kinds = set(map(type, values))
    if kinds == {int}:
        return encode_ints(values)  # type: ignore[arg-type] # all are integers
    if kinds == {str}:
        return _encode_texts(values)  # type: ignore[arg-type] # all are texts
    return [encode((value,)) for value in values]


def _encode_texts(values: Sequence[str]) -> list[bytes]:
    distinct = set(values)
    if len(distinct) < len(values) // 2:
        key_of = dict(zip(distinct, _encode_texts(list(distinct)), strict=True))
        return list(map(key_of.__getitem__, values))
    whole = "".join(values)
    if whole.isascii() and "\0" not in whole:
        return [b"\x20%b\0" % data for data in map(str.encode, values)]
    return list(map(_encode_text, values))


def encode_ints(values: Sequence[int]) -> list[bytes]:
    """Return the key of each of many integers. Raise DataError if one does not fit into 64 bits."""
    if not values:
        return []
    least, greatest = min(values), max(values)
    first, last = (least.bit_length() + 7) >> 3, (greatest.bit_length() + 7) >> 3
    if least <= 0 or greatest >= _INT_END or (first < last and list(values) != sorted(values)):
        return list(map(encode_int, values))
    # In order, those of one size are together.
    found: list[bytes] = []
    for size in range(first, last + 1):
        end = len(values) if size == last else bisect_left(values, 1 << (size << 3))
        head = _POSITIVE[size]
        found += [head + value.to_bytes(size, "big") + b"\0" for value in values[len(found) : end]]
    return found


def decode(key: bytes) -> tuple[SqlValue, ...]:
    """Return the values of a key: a float without a fraction as an integer, NaN as None.

    Raise FormatError, which shows the bytes, if they are not a key.
    """
    values: list[SqlValue] = []
    at = 0
    try:
        while at < len(key):
            value, at = _decode_element(key, at)
            values.append(value)
    except (IndexError, ValueError, struct.error) as error:
        raise FormatError(f"a key does not decode at byte {at}: {key.hex(' ')}") from error
    return tuple(values)


def prefix_end(prefix: bytes) -> bytes:
    """Return the end (exclusive) of the range of all keys that begin with the elements of `prefix`."""
    return prefix + b"\xff"


def entry(columns: bytes, row_key: bytes) -> bytes:
    """Return the index entry of encoded columns and a row key. Raise DataError if the row key is too long."""
    if len(row_key) > _LONGEST_ROW_KEY:
        raise DataError(f"a primary key of {len(row_key)} bytes is too long for an index; at most {_LONGEST_ROW_KEY}")
    return columns + row_key + _length.pack(len(row_key))


def entries_of(columns: Iterable[bytes], row_keys: Sequence[bytes]) -> list[bytes]:
    """Return the index entry of each of many encoded columns and row keys, as `entry` does one by one."""
    lengths = set(map(len, row_keys))
    if len(lengths) != 1 or max(lengths) > _LONGEST_ROW_KEY:
        return list(map(entry, columns, row_keys))
    end = _length.pack(lengths.pop())
    return [prefix + key + end for prefix, key in zip(columns, row_keys, strict=True)]


def row_keys_of(entries: Collection[bytes]) -> list[bytes]:
    """Return the row keys of index entries. Raise FormatError if one is no entry."""
    lengths = {entry[-2:] for entry in entries}
    if len(lengths) == 1:
        length = int.from_bytes(lengths.pop(), "big")
        keys = [entry[-2 - length : -2] for entry in entries]
        if set(map(len, keys)) == {length}:
            return keys
    return [row_key_of(entry) for entry in entries]


def row_key_of(entry: bytes) -> bytes:
    """Return the row key of an index entry. Raise FormatError if it is no entry."""
    begin = len(entry) - 2 - int.from_bytes(entry[-2:], "big")
    if begin < 0:
        raise FormatError(f"an index entry is too short for the row key it announces: {entry.hex(' ')}")
    return entry[begin:-2]


def encode_int(value: int) -> bytes:
    """Return the key of one integer. Raise DataError if it does not fit into 64 bits."""
    if value > 0:
        size = (value.bit_length() + 7) >> 3
        if size <= 8 and value < _INT_END:
            return b"%c%b\0" % (_ZERO + size, value.to_bytes(size, "big"))
    elif value < 0:
        size = ((-value).bit_length() + 7) >> 3
        if value >= _INT_MIN:
            # One's complement, so that a greater magnitude sorts first.
            return b"%c%b\0" % (_ZERO - size, (value + (1 << (size << 3)) - 1).to_bytes(size, "big"))
    else:
        return b"\x14\0"
    raise DataError(f"integer out of range: {value} does not fit into 64 bits")


def _encode_float(value: float) -> bytes:
    if value != value:
        return b"\x01"
    if not _INT_MIN <= value < _INT_END:
        return b"%c%b" % (_ABOVE if value > 0 else _BELOW, _image(value))
    floor = int(value // 1)
    whole = encode_int(floor)
    return whole if floor == value else b"%b\1%b" % (whole[:-1], _image(value))


def _encode_text(value: str) -> bytes:
    try:
        data = value.encode()
    except UnicodeEncodeError:
        data = _bytes_of(value)
    return b"\x20%b\0" % (data.replace(b"\0", b"\0\xff") if b"\0" in data else data)


def _bytes_of(value: str) -> bytes:
    """Return the bytes of a text that SQLite has computed (`rome.values.text_of`). Raise DataError for another."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise DataError(f"a text that is not Unicode can't be stored: {value!r}") from error


def _encode_other(value: SqlValue) -> bytes:
    """Return the key of a rare value, or of a subclass (bool, an IntEnum, a quoted name of SQLAlchemy)."""
    if value is None:
        return b"\x01"
    if isinstance(value, float):
        return _encode_float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b"\x30%b\0" % bytes(value).replace(b"\0", b"\0\xff")
    if isinstance(value, int):
        return encode_int(int(value))
    if isinstance(value, str):
        return _encode_text(value)
    raise DataError(f"a value of type {type(value).__name__} can't be stored")


def _image(value: float) -> bytes:
    """Return eight bytes that sort as floats do."""
    (bits,) = _bits.unpack(_double.pack(value))
    return _bits.pack(bits ^ (_ALL if bits & _SIGN else _SIGN))


def _value_of_image(image: bytes) -> float:
    (bits,) = _bits.unpack(image)
    value: float = _double.unpack(_bits.pack(bits ^ (_SIGN if bits & _SIGN else _ALL)))[0]
    return value


def _decode_element(key: bytes, at: int) -> tuple[SqlValue, int]:
    """Return the element at a position, and the position of the next. Raise ValueError, IndexError or struct.error."""
    code = key[at]
    if code == _NULL:
        return None, at + 1
    if _BELOW < code < _ABOVE:
        return _decode_number(key, at)
    if code in (_TEXT, _BLOB):
        end = key.index(b"\0", at)
        while key[end + 1 : end + 2] == b"\xff":
            end = key.index(b"\0", end + 1)
        data = key[at + 1 : end].replace(b"\0\xff", b"\0")
        return data.decode() if code == _TEXT else data, end + 1
    if code in (_BELOW, _ABOVE):
        return _value_of_image(key[at + 1 : at + 9]), at + 9
    raise ValueError("unknown element code")


def _decode_number(key: bytes, at: int) -> tuple[SqlValue, int]:
    size = key[at] - _ZERO
    end = at + 1 + abs(size)
    whole = int.from_bytes(key[at + 1 : end], "big")
    if size < 0:
        whole -= (1 << (-size << 3)) - 1
    fraction = key[end]
    if fraction == 0:
        return whole, end + 1
    if fraction == 1:
        return _value_of_image(key[end + 1 : end + 9]), end + 9
    raise ValueError("unknown fraction marker")


_SMALL = tuple(encode_int(value) for value in range(1024))
"""The keys of the commonest integers."""
