"""Forged and damaged files are refused by name, in bounded memory, or read as the same content."""

import hashlib
import io
import json
import random
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

import vgsim
from known_runs import RECORDS, run, same
from vgsim._results.samples import Samples

DAMAGED = "is damaged, or not an .npz file of vgsim"


def sealed(content):
    """Replace the last 64 bytes by the SHA-256 of all bytes before them."""
    return content[:-64] + hashlib.sha256(content[:-64]).hexdigest().encode()


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version)
    return file.getvalue()


def archive(members, **changes):
    """Return a zip file of (name, content) with checksum; `changes` falsify its last header."""
    parts, end = [], len(members) - 1
    for place, (name, content) in enumerate(members):
        lies = changes if place == end else {}
        size = lies.get("size", len(content))
        extra = lies.get("extra", struct.pack("<HHQQ", 1, 16, size, lies.get("stored", size)))
        head = (lies.get("flags", 0), lies.get("method", 0), 0, 33, zlib.crc32(content))
        lengths = (0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra))
        parts += [struct.pack("<4s5H3I2H", b"PK\3\4", 45, *head, *lengths), name.encode(), extra]
        parts.append(content)
    return sealed(b"".join(parts) + b"PK\5\6" + bytes(16) + b"\x40\0" + bytes(64))


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return [(name, file.read(name)) for name in file.namelist()]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saved objects of several kinds, and the bytes of their files."""
    folder = tmp_path_factory.mktemp("saved")
    networks = vgsim.MLP(5, 4), vgsim.MLP(10, 2, activation="relu"), vgsim.RNN(4, 3)
    rule = vgsim.Precision(0.05, threshold=1e-3)
    found = {
        "all": run(record=RECORDS, dead=[2]),
        "simulated": vgsim.simulate(networks[1], 40, first=7, layers=(0, 5, 10)),
        "study": vgsim.collect(networks, max_samples=1000, thresholds=(1e-6, 1e-3), stop=rule),
    }
    for name, result in found.items():
        result.save(folder / name)
    return {name: (result, (folder / name).read_bytes()) for name, result in found.items()}


def load(path, content):
    path.write_bytes(content)
    return vgsim.load(path)


def refused(path, content):
    """Return the reason; check that reading took at most three times the size of the file."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="x\\.npz") as caught:
            vgsim.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(content) + 2**22
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path} ")
    return message.removeprefix(f"{path} ")


def test_the_maker_of_forgeries_makes_what_save_does(saved, tmp_path):
    for result, content in saved.values():
        assert equal(load(tmp_path / "x.npz", archive(members_of(content))), result)


def deflated(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as into:
        for name, content in members:
            into.writestr(name, content)
        into.comment = bytes(64)
    return sealed(file.getvalue())


BIG = npy(np.zeros(2**17))
STRUCTURES = {
    "deflated": lambda m: deflated([*m, ("x.npy", BIG)]),
    "a member twice": lambda m: archive([*m, m[-1]]),
    "no array": lambda m: archive([*m, ("x.txt", b"42")]),
    "encrypted": lambda m: archive(m, flags=1),
    "an unknown method": lambda m: archive(m, method=99),
    "too large": lambda m: archive(m, size=2**62),
    "smaller than it is": lambda m: archive(m, size=len(m[-1][1]) - 1),
    "two sizes": lambda m: archive(m, stored=3),
    "no sizes": lambda m: archive(m, extra=b""),
    "no header": lambda m: archive(m[1:]),
    "nothing": lambda m: archive([]),
    "no ending": lambda m: archive([*m, ("../\n", BIG)]),
    "a longer array": lambda m: archive([*m[:-1], (m[-1][0], m[-1][1] + bytes(8))]),
    "a larger shape": lambda m: archive([*m, ("x.npy", BIG.replace(b"131072", b"9" * 6))]),
    "objects": lambda m: archive([*m, ("x.npy", npy(np.array([{}])))]),
    "records": lambda m: archive([*m, ("x.npy", npy(np.zeros(2, "i8, f8")))]),
    "another version of .npy": lambda m: archive([*m[:-1], (m[-1][0], npy(np.ones(3), (2, 0)))]),
}


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("name", ["all", "study"])
def test_a_forged_structure_is_refused(saved, tmp_path, kind, name):
    content = STRUCTURES[kind](members_of(saved[name][1]))
    assert refused(tmp_path / "x.npz", content).startswith(DAMAGED)


def with_header(content, text):
    (name, _), *rest = members_of(content)
    return archive([(name, npy(np.array(text.encode()))), *rest])


@pytest.mark.parametrize(
    "spoiled",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[]",
        "3",
        '{"format": NaN}',
        '{"format": "vgsim.Samples", "format": "vgsim.Samples"}',
        '{"format": 3}',
        '{"format": "vgsim.Samples\\nno"}',
        '{"version": 2}',
        '{"version": ' + "9" * 5000 + "}",
        '{"format": "vgsim.Samples", "version": 2.0}',
        '{"format": "vgsim.Samples", "version": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_a_forged_header_is_refused(saved, tmp_path, spoiled):
    content = with_header(saved["all"][1], spoiled)
    assert refused(tmp_path / "x.npz", content) == DAMAGED


CHANGES = {
    "network": ['{"kind":"MLP"}', "[" * 10_000, 3, '{"depth":6,"kind":"MLP","width":4} ', "{}"],
    "seed": [-1, 0.5, True, "0", None, [1]],
    "batch_size": [0, 2**40, 1.0],
    "loss": ["hinge", 3],
    "inputs": ["uniform", "sha256:../x"],
    "engine": ["auto", "fast"],
    "dtype": ["float16"],
    "elapsed": [-1.0, 10**400, float("inf"), float("nan"), "1", 1],
    "provenance": [3, {"vgsim": 3}, {"vgsim": ["1"]}],
    "mood": ["good\n\n\u2028line"],
    "mood\n\x1b[31m": ["good"],
}


@pytest.mark.parametrize(("field", "value"), [(f, x) for f, xs in CHANGES.items() for x in xs])
def test_a_forged_field_is_refused(saved, tmp_path, field, value):
    content = saved["all"][1]
    header = json.loads(np.load(io.BytesIO(members_of(content)[0][1])).item())
    assert repr(value) != repr(header.get(field))
    forged = with_header(content, json.dumps(header | {field: value}))
    reason = "does not hold consistent samples: "
    assert refused(tmp_path / "x.npz", forged).startswith((reason, DAMAGED))
    if field in header:
        header.pop(field)
        message = refused(tmp_path / "x.npz", with_header(content, json.dumps(header)))
        assert message == f"{reason}no {field!r}"


def put(array, value, place=0):
    array.flat[place] = value
    return array


FORGED = {
    "index": [
        lambda x: put(x, 2**60, -1),
        lambda x: put(x, -1),
        lambda x: x * 1.0,
        lambda x: x[1:],
    ],
    "layers": [lambda x: x + 1, lambda x: x * 0, lambda x: x - 1, lambda x: x.astype("i4")],
    "saturation": [lambda x: put(x, 7.0), lambda x: put(x, -np.inf), lambda x: x.T],
    "clipped": [lambda x: put(x, -0.1), lambda x: put(x, 1.1)],
    "activation_correlation": [lambda x: put(x, -1.1), lambda x: put(x, 1.1), lambda x: x[:, 1:]],
    "gradient_correlation": [
        lambda x: put(x, np.nan),
        lambda x: put(x, -0.5, 6),  # of a dead sample
        lambda x: x.astype("f4"),
    ],
    "gradient": [
        lambda x: put(x, np.nan),
        lambda x: put(x, -np.inf),
        lambda x: put(x, -np.inf, 1),
        lambda x: put(x, 1e300),
        lambda x: put(x, 0.123, 2),
        lambda x: x.astype("f4"),
        lambda x: x.astype(">f8"),
        lambda x: x.ravel(),
        lambda x: x[0, 0],
    ],
    "rms_min": [lambda x: x + 50, lambda x: np.maximum(x, -99), lambda x: put(x, -1e30)],
    "rms_max": [lambda x: x - 50, lambda x: put(x, -np.inf), lambda x: x.astype("f2")],
    "activation": [lambda x: put(x, np.inf), lambda x: put(x, -1e300)],
    "dead": [lambda x: put(x.view("u1"), 7).view("?"), lambda x: ~x, lambda x: x.astype("u1")],
    "output_gradient": [lambda x: put(x, -np.inf), lambda x: x + 1],
}


@pytest.mark.parametrize(
    ("name", "place"), [(name, i) for name, forgers in FORGED.items() for i in range(len(forgers))]
)
def test_forged_values_are_refused(saved, tmp_path, name, place):
    members = dict(members_of(saved["all"][1]))
    array = np.load(io.BytesIO(members[f"{name}.npy"]))
    members[f"{name}.npy"] = npy(FORGED[name][place](array.copy()))
    message = refused(tmp_path / "x.npz", archive(list(members.items())))
    assert message.startswith("does not hold consistent samples: ")


def equal(a, b):
    if not isinstance(a, Samples) or not isinstance(b, Samples):
        return a == b and a.provenance == b.provenance
    return same(a, b) and (a.provenance, a.elapsed) == (b.provenance, b.elapsed)


@pytest.mark.parametrize("name", ["all", "simulated", "study"])
def test_altered_bytes_are_noticed(saved, tmp_path, name, seed):
    """Files with a wrong checksum are refused; those accepted with a right one can be used."""
    draw, path = random.Random(f"{name} {seed}"), tmp_path / "x.npz"
    result, whole = saved[name]
    accepted = 0
    for _ in range(120):
        content = bytearray(whole)
        place = draw.randrange(len(content))
        kind = draw.randrange(3)
        if kind == 0:
            content[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del content[place : place + draw.randrange(1, 300)]
        else:
            content[place:place] = draw.randbytes(draw.randrange(1, 300))
        with pytest.raises(ValueError, match=DAMAGED):
            load(path, bytes(content))
        try:
            found = load(path, sealed(bytes(content)))
        except ValueError as error:
            assert str(error).startswith(f"{path} ")  # noqa: PT017
            continue
        accepted += 1
        assert type(found) is type(result)
        repr(found)
        found.save(path)
        assert equal(vgsim.load(path), found)
    assert accepted < 60
