"""Reader of files in TOML that describe networks, for ``vgsim run net.toml``."""

from __future__ import annotations

from pathlib import Path

from vgsim._cli.sweep_table import networks_of
from vgsim._cli.text_file import file_name
from vgsim._cli.toml_file import refuse, toml_text, toml_values
from vgsim._networks.description import Network

__all__ = ["networks_from_toml", "read_networks"]


def read_networks(path: Path) -> list[Network]:
    """Return the networks that a file describes.

    Raises
    ------
    TomlError
        With one line for every error: the file, the path of the key, and the problem.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from vgsim._cli.network_file import read_networks
    >>> read_networks(Path("no such file.toml"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.toml'
    """
    return networks_from_toml(toml_text(path), file_name(path))


def networks_from_toml(text: str, name: str) -> list[Network]:
    r"""Return the networks that a text describes, as a [[sweep]] of a study file does.

    Parameters
    ----------
    text : str
        The kind and the fields of a network. The layers of a Sequential are a list of tables
        [[layers]], each with the kind and the fields of a layer, such as ``kind = "Linear"``, and
        of names of activations. ``kind = "Group"`` has layers only. ``repeat = 24`` in a table
        stands for that number of equal layers; without a kind, for repetitions of its layers. A
        list of values of a field stands for several networks.
    name : str
        Name of the file, for messages.

    Raises
    ------
    TomlError
        With one line for every error.

    Examples
    --------
    >>> from vgsim._cli.network_file import networks_from_toml
    >>> networks_from_toml('''
    ... kind = "Sequential"
    ... width = 8
    ... layers = [{kind = "Linear", gain = 2}, "tanh"]
    ... ''', "net.toml")
    [Sequential(width=8, layers=[Linear(gain=2.0), 'tanh'])]
    >>> networks_from_toml('kind = "Sequential"\nwidth = 0\nlayers = ["tanh"]', "net.toml")
    Traceback (most recent call last):
    vgsim._cli.toml_file.TomlError: net.toml: width must be an int from 1 to 4294967295, got 0
    """
    errors: list[str] = []
    found = networks_of(toml_values(text, name), (), errors.append)
    refuse(name, errors)
    return list(dict.fromkeys(found))
