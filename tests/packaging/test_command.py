"""The manual page and the completions are the command line's own, and man, bash and zsh read them."""

import os
import shutil
import subprocess
from pathlib import Path

from migrator.cli import docs_command
from migrator.cli.docs_command import COMPLETIONS, MAN_PAGE
from migrator.cli.main import parser
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
BASH = """
. "$1" || exit 1
shift
function=$(complete -p migrator | grep -oP '(?<=-F )\\S+') || exit 1
COMP_WORDS=(migrator "$@"); COMP_CWORD=$#
"$function" migrator "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($1 \\$fpath); autoload -U compinit; compinit -u -D; echo rea''dy"
zpty -r shell said '*ready*' || exit 1
zpty -w -n shell $'migrator live-migration-st\\t'
zpty -r shell said '*live-migration-steer*'
"""


def run(*command: str, **environment: str) -> str:
    assert shutil.which(command[0]) is not None, "script/bootstrap installs it"
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE * 20, env={"PATH": os.environ["PATH"]} | environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def completed(*message: str) -> set[str]:
    script = str(ROOT / COMPLETIONS["bash"])
    return set(run("bash", "--noprofile", "--norc", "-c", BASH, "bash", script, *message).splitlines())


def test_they_are_up_to_date() -> None:
    for shell, name in COMPLETIONS.items():
        assert (ROOT / name).read_text() == docs_command.completion(shell), "run script/docs"
    assert (ROOT / MAN_PAGE).read_text() == docs_command.man_page(), "run script/docs"


def test_bash_completes_verbs_options_and_the_words_of_an_argument() -> None:
    assert completed("li") == {"list", "live-migration"} | {
        f"live-migration-{verb}" for verb in ("abort", "force-complete", "steer")
    }
    assert completed("live-migration", "--b") == {"--block-migrate"}
    assert completed("db", "") == {"upgrade"}
    assert completed("help", "host-ev") == {"host-evacuate", "host-evacuate-live"}
    assert completed("image-create", "--file", str(ROOT / "READ")) == {str(ROOT / "README.md")}


def test_zsh_completes_a_verb() -> None:
    run("zsh", "-f", "-c", ZSH, "zsh", str((ROOT / COMPLETIONS["zsh"]).parent), TERM="dumb")


def test_man_reads_the_page_and_it_has_every_verb() -> None:
    read = run("man", "-l", "--warnings", str(ROOT / MAN_PAGE), LC_ALL="C.UTF-8", MANWIDTH="200")
    verbs = {line.split()[1] for line in read.splitlines() if line.startswith("   migrator ")}
    (action,) = (action for action in parser()._actions if action.dest == "command")
    assert verbs == set(action.choices or ())
    assert "EXIT STATUS" in read
