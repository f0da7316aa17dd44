"""A manifest's text means to us what it means to kubectl."""

import json
import subprocess

import pytest
import yaml

from support.contract.manifests import CORPUS, VALID
from vistrain_api.kubectl_yaml import YamlError, read_documents
from vistrain_devcluster import binaries
from vistrain_devcluster.config import ClusterConfig

SCALARS = [line for line in (CORPUS / "scalars.txt").read_text().splitlines() if line[:2] != "# "]
REFUSED = [
    ".inf",
    "-.INF",
    "+.Inf",
    ".nan",
    ".NAN",
    "!!int x",
    "!!int 1.0",
    "!!null x",
    "{<<: 1}",
    "{~: 1}",
    "@a",
]


@pytest.fixture(scope="session")
def kubectl():
    """kubectl as a reader: no server is asked."""
    folder = binaries.ensure(
        ClusterConfig.from_environment().cache, report=print, modules=[binaries.KUBERNETES]
    )

    def read(text):
        command = [folder / "kubectl", "label", "--local", "-f", "-", "read=yes", "-o", "json"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    return read


def wrapped(value):
    return f"apiVersion: v1\nkind: Corpus\nmetadata: {{name: corpus}}\nspec:\n- {value}\n"


def same(ours, theirs):
    """Equal, booleans and strings told from numbers; numbers beyond 64 bits as floats."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and same(sorted(ours.items()), sorted(theirs.items()))
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, int):
        return ours == float(theirs)
    return type(ours) is type(theirs) and ours == theirs


@pytest.fixture(scope="session")
def scalars_by_kubectl(kubectl):
    """All of the corpus in one reading; each anchor is its line's own."""
    lines = "".join(
        f"- {line.replace('&x', f'&x{n}').replace('*x', f'*x{n}')}\n" for n, line in enumerate(SCALARS)
    )
    values = kubectl(f"apiVersion: v1\nkind: Corpus\nmetadata: {{name: corpus}}\nspec:\n{lines}")["spec"]
    return dict(zip(SCALARS, values, strict=True))


@pytest.mark.parametrize("text", SCALARS)
def test_a_value_means_the_same(scalars_by_kubectl, text):
    ours = read_documents(wrapped(text))[0]["spec"][0]
    assert same(ours, scalars_by_kubectl[text]), f"{ours!r} is not {scalars_by_kubectl[text]!r}"


@pytest.mark.parametrize("text", REFUSED)
def test_what_kubectl_refuses_is_refused(kubectl, text):
    assert kubectl(wrapped(text)) is None
    with pytest.raises(YamlError, match=r"line \d"):
        read_documents(wrapped(text))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_manifest_means_the_same(kubectl, path):
    theirs = kubectl(path.read_text())
    ours = next(d for d in read_documents(path.read_text()) if d["kind"] == "DetectorTraining")
    assert ours["spec"] == theirs["spec"]


def test_block_scalars_comments_and_documents(kubectl):
    text = "a: |\n  one\n  two\nb: >-\n  one\n  two\nc: 1 # comment\nd: 'x\n  y'\n"
    ours = read_documents(f"# head\n---\n{text}---\n- 1\n")
    assert ours == [{"a": "one\ntwo\n", "b": "one two", "c": 1, "d": "x y"}, [1]]
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    theirs = kubectl(f"apiVersion: v1\nkind: Corpus\nmetadata: {{name: corpus}}\nspec:\n{indented}")["spec"]
    assert ours[0] == theirs


def test_an_anchor_that_contains_itself_is_refused():
    with pytest.raises(YamlError, match="contains itself"):
        read_documents("a: &x [*x]")


def test_an_unknown_tag_is_refused():
    with pytest.raises(YamlError, match="line 1, column 4: the tag '!secret' is not known"):
        read_documents("a: !secret x")


def test_what_pyyaml_writes_is_read_back_where_both_agree():
    values = {"a": 0.0005, "b": "text", "c": [1, 2.5, None, True], "d": {"e": "24Gi"}}
    assert read_documents(yaml.safe_dump(values)) == [values]
