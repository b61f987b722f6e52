"""Whatever goes wrong, the command line says one sentence, and the exit code tells whose fault it was."""

import pytest

from migrator.cli import verb
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


def test_a_verb_that_is_none_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evacaute", "vm"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("migrator: there is no verb evacaute; the nearest: evacuate")
    assert main(["help", "evacaute"]) == 2
    assert capsys.readouterr().err == error


def test_help_describes_a_verb_and_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "evacuate"]) == 0
    assert "--on-shared-storage" in capsys.readouterr().out
    assert main(["help"]) == 0
    assert "live-migration-force-complete" in capsys.readouterr().out


def test_an_interrupted_wait_says_that_the_move_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "_run", interrupted)
    assert main(["live-migration", "vm", "--poll"]) == 130
    assert "goes on" in capsys.readouterr().err
    assert main(["list"]) == 130
    assert capsys.readouterr().err == ""
