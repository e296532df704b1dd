"""Pickles as Python 2 wrote them, opcode by opcode: byte strings, protocol 2, NumPy's old names."""

import struct


def text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(module: str, attribute: str) -> bytes:
    return b"c" + f"{module}\n{attribute}\n".encode()


def listed(values) -> bytes:
    return b"](" + b"".join(whole(value) for value in values) + b"e"


def kind(code: bytes = b"u1", order: bytes = b"|") -> bytes:
    made = name("numpy", "dtype") + text(code) + whole(0) + whole(1) + b"\x87R"
    return made + b"(" + whole(3) + text(order) + b"NNN" + whole(-1) + whole(-1) + whole(0) + b"tb"


def array(shape, content: bytes, kind: bytes = kind(), fortran: bool = False, module="numpy.core.multiarray") -> bytes:
    made = name(module, "_reconstruct") + name("numpy", "ndarray") + whole(0) + b"\x85" + text(b"b") + b"\x87R"
    sides = b"(" + b"".join(whole(side) for side in shape) + b"t"
    return made + b"(" + whole(1) + sides + kind + (b"\x88" if fortran else b"\x89") + text(content) + b"tb"


def dictionary(**items: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(text(key.encode()) + value for key, value in items.items()) + b"u."


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."
