"""Whatever goes wrong, the command line says one sentence, and the exit code tells whose fault it was."""

import pytest

from migrator.cli.main import main
from tests.ports import free_port


def test_nobody_listening_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--url", f"http://127.0.0.1:{free_port()}/v2.1"]) == 1
    error = capsys.readouterr().err
    assert "no server answers" in error
    assert "migrator server" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v2.1", "nonsense", "http://[/v2.1"])
def test_an_address_that_is_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--url", url]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("line", [["boot", "vm"], ["nosuch"], ["live-migration"], []])
def test_a_wrong_command_line_is_2(line: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert ended.value.code == 2


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    monkeypatch.delenv("MIGRATOR_URL", raising=False)
    monkeypatch.setenv("OS_ENDPOINT", f"http://127.0.0.1:{port}/v2.1")
    assert main(["image-list"]) == 1
    assert str(port) in capsys.readouterr().err
