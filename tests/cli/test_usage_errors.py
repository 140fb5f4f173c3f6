"""What was typed and cannot be read is answered in the words of this program."""

import pytest

from cryorbit.cli.foreign_options import ADVICE, OURS
from cryorbit.cli.main import main, make_app


def answer(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says to a mistake."""
    with pytest.raises(SystemExit) as end:
        main(command.split())
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("refine p.star --ref m.mrc -o job", "--ref is --map here"),
        ("refine p.star --map m.mrc --o job", "--o is --output here"),
        ("abinit p.star -o job --K 3", "--K is --classes here"),
        ("classify p.star -o job --K 3", "give one --map for each class in place of --K"),
        ("abinit p.star -o job --sym C4", "--sym is --symmetry here"),
        ("abinit p.star -o job --particle_diameter 120", "--particle_diameter is --diameter here"),
        ("abinit p.star -o job --gpu 0", "--gpu is --device here"),
        ("abinit p.star -o job --j 8", "--j is --threads here"),
        ("refine p.star --map m.mrc -o job --ini_high 40", "--ini_high is --initial-resolution here"),
        ("postprocess job --angpix 1.2", "--angpix is --pixel-size here"),
        ("abinit p.star -o job --angpix 1.2", "leave --angpix out: the pixel size is read from the input"),
        ("abinit --i p.star -o job", "name the input file first, without --i: cryorbit abinit FILE"),
        ("refine p.star --map m.mrc -o job --iter 25", "leave --iter out: the job ends by itself"),
        ("optimise p.star -o job --iter 25", "--iter is --epochs here"),
        ("refine p.star --map m.mrc -o job --tau2_fudge 4", "the prior is estimated from the images"),
        ("abinit p.star -o job --nr_mpi 4", "--nr_mpi is --processes here"),
    ],
)
def test_names_of_other_programs_are_known(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in answer(typed, capsys)


def test_every_unknown_option_is_named_before_one_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    said = answer("refine p.star --ref m.mrc --o job", capsys)
    assert "`cryorbit refine` has no options --ref and --o" in said
    assert "needs" not in said


def test_options_of_ours_that_others_become_exist() -> None:
    app = make_app()
    verbs = [name for name in app if not name.startswith("-") and name != "mra"]
    known = {name for verb in verbs for each in app[verb].assemble_argument_collection() for name in each.names}
    assert {ours for names in OURS.values() for ours in names} - known - {"--processes"} == set()


@pytest.mark.parametrize("foreign", [*OURS, *ADVICE])
def test_names_of_others_are_written_as_they_are_looked_up(foreign: str) -> None:
    assert foreign == foreign.lower().replace("_", "-")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("abint p.star", "there is no verb 'abint'\n  fix: did you mean 'abinit'?"),
        ("mra solv p.npz", "did you mean 'mra solve'?"),
        ("--foo", "there is no option '--foo'"),
        ("refine -o job --map m.mrc", "`cryorbit refine` needs PARTICLES"),
        ("abinit p.star", "`cryorbit abinit` needs --output\n  fix: add --output: Folder"),
        ("abinit p.star -o", "-o needs a value"),
        ("simulate m.mrc -o job --defocus-range 1", "--defocus-range needs 2 values"),
        ("abinit p.star -o job -o other", "-o is given twice"),
        ("abinit p.star q.star -o job", "`cryorbit abinit` does not take 'q.star'"),
        ("abinit p.star -o job --diameter wide", "--diameter is 'wide'\n  fix: it must be a number"),
        ("abinit p.star -o job --classes two", "--classes is 'two'\n  fix: it must be a whole number"),
        ("refine p.star -o job --map m.mrc --method sgd", "--method is 'sgd'\n  fix: it must be em or psgd"),
        ("abinit p.star -o job --limit 0", "--limit is 0\n  fix: it must be at least 1"),
        ("abinit p.star -o job --processes many", "--processes is 'many'\n  fix: it must be a whole number"),
        ("abinit p.star -o job --quite", "did you mean --quiet?"),
        ("submit --slurm --foo refine p.star", "`cryorbit submit` has no option --foo"),
    ],
)
def test_other_mistakes_are_told_with_their_fix(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in answer(typed, capsys)
