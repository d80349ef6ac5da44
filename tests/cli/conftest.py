"""The command, run in this process."""

import pytest

from vgsim._cli.main import main


@pytest.fixture
def command(capsys):
    """Run the command; return its exit code, stdout and stderr."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
