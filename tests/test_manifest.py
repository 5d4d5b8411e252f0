"""Finding and reading manifest files: order, links, hidden names, and what is no readable file."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest

from crmctl import manifest, schema
from crmctl.manifest import File

OUTSIDE = "leads out of the tree: keep manifests below the folder of the configuration file"
GONE = "can't be read (No such file or directory): correct its permissions, or where it links to"


def write(tree: Path, *names: str) -> Path:
    """Make files that hold one contact each, named like the file; returns the tree."""
    for name in names:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"contacts: [{{email: '{path.stem}@x.example'}}]\n", encoding="utf-8")
    return tree


def read(tree: Path, *paths: str, max_bytes: int = 1000, standard_input: bytes | None = None) -> list[File]:
    stream = None if standard_input is None else io.BytesIO(standard_input)
    return list(manifest.read(paths or ["."], tree, schema.shape(), max_bytes=max_bytes, standard_input=stream))


def said(files: list[File]) -> dict[str, str]:
    """Return what is said about each file, nothing if it was read."""
    return {
        file.name: ", ".join(f"{found.source}: {found.message}" for found in file.diagnostics)
        .removeprefix(f"{file.name}:1:1: ")
        for file in files
    }  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with another one beside it, `outside`, that holds a manifest."""
    write(tmp_path, "outside/o.yaml")
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def test_folders_are_walked_in_sorted_order(tree: Path) -> None:
    """The files of a folder come first, then its folders, each by name; what is hidden or no YAML is passed over."""
    names = ["b.yml", "a.yaml", "c/b.yaml", "c/a/z.yaml", "B.yaml", "é.yaml", "d.yaml/e.yaml", "a/x.yaml"]
    write(tree, *names, ".h.yaml", ".h/a.yaml", "a.txt", "yaml", "a.yaml~", "A.YAML")
    expected = ["B.yaml", "a.yaml", "b.yml", "é.yaml", "a/x.yaml", "c/b.yaml", "c/a/z.yaml", "d.yaml/e.yaml"]
    assert dict.fromkeys(expected, "") == said(read(tree))
    assert expected == [file.name for file in read(tree)]


def test_a_file_is_read_with_its_digest(tree: Path) -> None:
    """A file comes with its documents, whose places name it, and the SHA-256 of its bytes."""
    (file,) = read(write(tree, "a/b.yaml"), "a")
    (document,) = file.documents
    assert document.root is not None
    assert {"contacts": [{"email": "b@x.example"}]} == document.root
    assert "a/b.yaml:1:1" == str(document.root.source())
    assert hashlib.sha256(b"contacts: [{email: 'b@x.example'}]\n").digest() == file.digest


def test_a_named_file_needs_no_suffix(tree: Path) -> None:
    """A file that is named itself is read whatever it is called, hidden ones too."""
    assert {".h": "", "x.txt": ""} == said(read(write(tree, ".h", "x.txt"), ".h", "x.txt"))


def test_a_file_is_read_once(tree: Path) -> None:
    """Files named twice, through links or folders too, are read once, under the first name."""
    write(tree, "a.yaml", "f/b.yaml")
    (tree / "f/c.yaml").symlink_to("../a.yaml")
    (tree / "f/d.yaml").symlink_to("b.yaml")
    assert ["f/b.yaml", "f/c.yaml"] == [file.name for file in read(tree, "f", "f/../f/b.yaml", "f", ".", "a.yaml")]


@pytest.mark.parametrize("name", ["missing", "a.yaml/b", "x" * 300, "gone.yaml/"])
def test_what_is_not_there_is_told(tree: Path, name: str) -> None:
    """A name without a file is an error, however impossible the name."""
    (message,) = said(read(write(tree, "a.yaml"), name)).values()
    assert "no such file or folder: correct its name, or create it" == message


def test_links_may_not_lead_out_of_the_tree(tree: Path) -> None:
    """Neither files nor folders outside are read, by whatever link or name."""
    (tree / "a.yaml").symlink_to("../outside/o.yaml")
    (tree / "b").symlink_to("../outside")
    (tree / "c.yaml").symlink_to("b")
    (tree / "d.txt").symlink_to("../outside/o.yaml")
    (tree / ".e").symlink_to("../outside")
    (tree / ".f.yaml").symlink_to("../outside/o.yaml")
    (tree / "g.yaml").symlink_to("../outside/missing.yaml")
    assert dict.fromkeys(["a.yaml", "b", "c.yaml", "g.yaml"], OUTSIDE) == said(read(tree))
    outside = tree.parent / "outside"
    assert [OUTSIDE] * 6 == [*said(read(tree, "b", "b/o.yaml", "..", "/", str(outside), "../outside/o.yaml")).values()]


def test_links_inside_the_tree_are_followed(tree: Path) -> None:
    """A linked file is read; a linked folder's files are found where they are, if they are among what is read."""
    write(tree, "a/b.yaml", "m/c.yaml", "m/s/d.yaml")
    (tree / "m/e.yaml").symlink_to("../a/b.yaml")
    (tree / "m/f").symlink_to("s")
    (tree / "m/g").symlink_to("../a")
    linked = "a linked folder: name it in `manifests` of the configuration instead"
    assert {"m/c.yaml": "", "m/e.yaml": "", "m/g": linked, "m/s/d.yaml": ""} == said(read(tree, "m"))
    assert ["m/f/d.yaml"] == [file.name for file in read(tree, "m/f")]


def test_a_tree_may_itself_be_linked(tree: Path) -> None:
    """A tree that is reached by a link is a tree like any other."""
    write(tree, "a.yaml")
    link = tree.parent / "link"
    link.symlink_to(tree)
    assert {"a.yaml": ""} == said(read(link))


def test_links_that_lead_nowhere_are_told(tree: Path) -> None:
    """Loops and links to what is missing are errors; a folder that links to its parent is walked once."""
    write(tree, "z.yaml")
    (tree / "a.yaml").symlink_to("a.yaml")
    (tree / "b.yaml").symlink_to("c.yaml")
    (tree / "c.yaml").symlink_to("b.yaml")
    (tree / "d.yaml").symlink_to("missing")
    (tree / "e").symlink_to(".")
    (tree / "f").symlink_to("f")
    loop = "can't be read (Too many levels of symbolic links): correct its permissions, or where it links to"
    found = said(read(tree))
    assert {"a.yaml": loop, "d.yaml": GONE, "z.yaml": ""} == {
        name: found[name] for name in ("a.yaml", "d.yaml", "z.yaml")
    }
    assert loop in {found.get("b.yaml"), found.get("c.yaml")}
    assert {"f": loop} == said(read(tree, "f"))


@pytest.mark.parametrize("name", ["pipe.yaml", "device.yaml"])
def test_what_is_no_regular_file_is_not_opened(tree: Path, name: str) -> None:
    """A pipe or a device is refused rather than waited for."""
    if name == "pipe.yaml":
        os.mkfifo(tree / name)
        assert {name: "not a regular file: remove it from the manifests"} == said(read(tree))
    else:
        (tree / name).symlink_to("/dev/zero")
        assert {name: OUTSIDE} == said(read(tree))


def test_an_unreadable_file_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be opened is an error, and the others are read."""
    write(tree, "a.yaml", "b.yaml")
    opened: Any = Path.open

    def refuse(path: Path, *arguments: Any) -> Any:
        if path.name == "a.yaml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    message = "can't be read (Permission denied): correct its permissions, or where it links to"
    assert {"a.yaml": message, "b.yaml": ""} == said(read(tree))


def test_an_unreadable_folder_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed is an error rather than an empty one."""
    write(tree, "a.yaml", "b/c.yaml")
    listed = os.listdir

    def refuse(path: Path) -> list[str]:
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "listdir", refuse)
    message = "can't be read (Permission denied): correct its permissions, or where it links to"
    assert {"a.yaml": "", "b": message} == said(read(tree))


def test_files_have_a_largest_size(tree: Path) -> None:
    """A file of just the largest size is read, one byte more is refused."""
    (tree / "a.yaml").write_bytes(b"# 345678\n\n")
    assert {"a.yaml": ""} == said(read(tree, max_bytes=10))
    assert {"a.yaml": "larger than 9 bytes: split it, or raise `max_file_bytes`"} == said(read(tree, max_bytes=9))
    assert {"<stdin>": "larger than 3 bytes: split it, or raise `max_file_bytes`"} == said(
        read(tree, "-", max_bytes=3, standard_input=b"1234")
    )


def test_standard_input_is_a_file(tree: Path) -> None:
    """`-` is what comes from standard input, once, in its place among the others; without one it is nothing."""
    write(tree, "a.yaml")
    files = read(tree, "-", "a.yaml", "-", standard_input=b"contacts: [x\n")
    assert {"<stdin>": "<stdin>:1:11: the [ that opens here is never closed: close it", "a.yaml": ""} == said(files)
    assert ["<stdin>", "a.yaml"] == [file.name for file in files]
    assert [] == read(tree, "-")


def test_names_that_are_no_text_are_escaped(tree: Path) -> None:
    """A file whose name is no UTF-8 is read, under a name that can be printed."""
    (tree / os.fsdecode(b"a\xff.yaml")).write_bytes(b"x")
    assert ["a\\xff.yaml:1:1"] == [str(file.diagnostics[0].source) for file in read(tree)]


def test_all_errors_of_all_files_are_found(tree: Path) -> None:
    """A broken file doesn't keep the next from being read."""
    (tree / "a.yaml").write_bytes(b"a: [")
    (tree / "b.yaml").write_bytes(b"\xff\xfe")
    (tree / "c.yaml").write_bytes(b"a: !x 1\na: 2\n")
    assert [1, 1, 2] == [len(file.diagnostics) for file in read(tree)]
