#!/usr/bin/env python3
"""Builds the documentation as a site: build.py BUILD writes BUILD/docs/html.

The pages and the headers stay as people read them in the repository: no tags of Doxygen stand in them. What it needs is
put in here, into copies: the marks of comments, a name for every heading, and links between pages. At the end every
link of the site is followed, and a broken one is an error. Needs doxygen.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import links

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The pages in the order of the menu: the path, and the title where the heading is not it.
PAGES = [
    "README.md",
    "docs/guide.md",
    "docs/cookbook.md",
    "docs/plans.md",
    "docs/models.md",
    "docs/server.md",
    "docs/http-server.md",
    "docs/cpp.md",
    "bindings/python/README.md",
    "bindings/rust/README.md",
    "bindings/rust/lckv-sys/README.md",
    "docs/saved-sessions.md",
    "docs/abi.md",
    "docs/semantics.md",
    "docs/prefill.md",
    "docs/kernels.md",
    "docs/throughput.md",
    "docs/performance.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
RESULTS = ROOT / "bench/results/README.md"  # whose pages stand under it in the menu
HEADERS = ["include/lckv.h", "include/lckv.hpp"]


def declared():
    """The functions, types and constants of lckv.h."""

    text = re.sub(r"/\*.*?\*/", "", (ROOT / HEADERS[0]).read_text(encoding="utf-8"), flags=re.DOTALL)
    return set(re.findall(r"\b(?:lckv_\w+(?=\(|;|\)\()|LCKV_\w+(?= ?=))", text))


DECLARED = declared()


def pages():
    """Those above, then what else there is in docs/, so that none is forgotten, and the sheets of results."""

    others = sorted(ROOT.glob("docs/*.md")) + sorted(ROOT.glob("bench/results/*.md"))
    paths = [ROOT / page for page in PAGES]
    return [path for path in paths if path.exists()] + [path for path in others if path not in paths]


def slug(heading):
    """The name that GitHub gives a heading."""

    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower().strip()))


def page_name(path):
    name = re.sub(r"\W", "_", str(path.relative_to(ROOT).with_suffix("")))
    return "index" if name == "README" else name


def anchor(path, heading):
    return f"{page_name(path)}_{heading.replace('-', '_')}"


class Page:
    """A page of Markdown, as Doxygen takes it."""

    def __init__(self, path, names, files):
        self.path, self.names, self.files = path, names, files

    def text(self):
        parts, prose, fenced, titled = [], [], False, False
        for line in self.path.read_text(encoding="utf-8").splitlines():
            fence = line.lstrip().startswith("```")
            heading = re.fullmatch(r"(#+) (.*)", line)
            if not (fence or fenced or heading or line.startswith("    ")):
                prose.append(line)
                continue
            parts.append(self.inline("\n".join(prose)))
            prose = []
            fenced = fenced != fence
            if heading and not fenced:
                line = self.heading(heading[1], heading[2], titled)
                titled = True
            parts.append(line)
        return "\n".join([*parts, self.inline("\n".join(prose))]) + "\n"

    def heading(self, marks, text, titled):
        """A heading with a name, of the page or of a place in it."""

        if titled:
            return f"{marks} {text} {{#{anchor(self.path, slug(text))}}}"
        return f"{text} {{#{self.title_name()}}}\n===="

    def title_name(self):
        return "mainpage" if page_name(self.path) == "index" else page_name(self.path)

    def inline(self, text):
        """Text whose links lead to where the site has things."""

        text = re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", self.target, text)
        return re.sub(r"(?<!\[)`(lckv_\w+|LCKV_\w+)`", self.known, text)

    def known(self, match):
        """What lckv.h declares is linked with it."""

        return f"[{match[0]}](@ref {match[1]})" if match[1] in DECLARED else match[0]

    def target(self, match):
        image, text, target = match.groups()
        if re.match(r"\w+:", target):
            return match[0]
        path, _, heading = target.partition("#")
        found = (self.path.parent / path).resolve() if path else self.path
        if image:
            self.files.add(found)
            return f"![{text}]({found.name})"
        if found.is_dir() and (found / "README.md") in self.names:
            found = found / "README.md"
        if found in self.names and self.path == RESULTS and found.parent == RESULTS.parent:
            return f'@subpage {self.names[found]} "{text}"'
        if found in self.names:
            return f"[{text}](@ref {anchor(found, heading) if heading else self.names[found]})"
        if found in [ROOT / header for header in HEADERS]:
            return f"[{text}]({found.name.replace('.', '_8')}.html)"
        if not found.exists():
            raise SystemExit(f"broken: {self.path.relative_to(ROOT)}: {target}: there is no such file")
        self.files.add(found)
        return f"[{text}](files/{found.relative_to(ROOT)})"


def linked(comment):
    """A comment with the mark that makes links of names, but in its code."""

    lines = comment[0].split("\n")
    for i, line in enumerate(lines):
        if not re.match(r"\s*\*     ", line):
            lines[i] = re.sub(
                r"(?<![\w#])((?:lckv|LCKV)_\w+)", lambda m: ("#" if m[1] in DECLARED else "") + m[1], line
            )
    return "\n".join(lines)


def header(path):
    """A header whose comments have the marks of Doxygen, and whose sections are groups."""

    text = path.read_text(encoding="utf-8")
    text = re.sub(r"\A/\*\n", f"/** @file {path.name}\n", text)
    kind = "C" if path.suffix == ".h" else "C++"
    began = False

    def section(match):
        nonlocal began
        name = match[1].strip()
        end = "/** @} */\n" if began else ""
        began = True
        return f"{end}/** @defgroup {path.suffix[1:]}_{slug(name).replace('-', '_')} {name} ({kind})\n @{{ */"

    text = re.sub(r"^/\* -+ (.*?) -+ \*/$", section, text, flags=re.MULTILINE)
    text = re.sub(r"^(\s*)/\*(?!\*)", r"\1/**", text, flags=re.MULTILINE)
    text = re.sub(r"(\S[^\n]*?) /\*(?!\*)", r"\1 /**<", text)
    text = re.sub(r"/\*\*.*?\*/", linked, text, flags=re.DOTALL)
    last = "#ifdef __cplusplus\n}" if path.suffix == ".h" else "} // namespace lckv"
    if began and text.count(last) == 1:
        text = text.replace(last, "/** @} */\n" + last)
    return text


def build(out):
    shutil.rmtree(out, ignore_errors=True)
    source = out / "source"
    source.mkdir(parents=True)
    names = {path: page_name(path) for path in pages()}
    files, inputs = set(), []
    for path, name in names.items():
        inputs.append(source / f"{name}.md")
        inputs[-1].write_text(Page(path, names, files).text(), encoding="utf-8")
    for path in HEADERS:
        inputs.append(source / pathlib.Path(path).name)
        inputs[-1].write_text(header(ROOT / path), encoding="utf-8")
    images = [path for path in files if path.suffix == ".svg"]
    for path in images:
        shutil.copy(path, source)
    version = re.search(r'VERSION_STRING "(.*)"', (ROOT / HEADERS[0]).read_text())[1]
    settings = (ROOT / "tools/docs/Doxyfile").read_text() + "\n".join(
        [
            f"PROJECT_NUMBER = {version}",
            f'OUTPUT_DIRECTORY = "{out}"',
            "INPUT = " + " ".join(f'"{path}"' for path in inputs),
            f'IMAGE_PATH = "{source}"',
            f'STRIP_FROM_PATH = "{source}"',
            f'WARN_LOGFILE = "{out}/warnings"',
            f'HTML_EXTRA_STYLESHEET = "{ROOT}/tools/docs/style.css"',
            f'USE_MDFILE_AS_MAINPAGE = "{inputs[0]}"',
        ]
    )
    subprocess.run(["doxygen", "-"], input=settings, text=True, check=True)
    for path in files - set(images):
        target = out / "html/files" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            entries = sorted(p.name + ("/" if p.is_dir() else "") for p in path.iterdir())
            target.mkdir(exist_ok=True)
            (target / "index.html").write_text("<pre>" + "\n".join(entries) + "</pre>\n")
        else:
            shutil.copy(path, target)
    return out / "html"


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    if shutil.which("doxygen") is None:
        raise SystemExit("make docs needs doxygen")
    out = pathlib.Path(sys.argv[1]).resolve() / "docs"
    html = build(out)
    warnings = (out / "warnings").read_text()
    broken = links.broken(html)
    for text in broken:
        print(f"broken: {text}")
    if warnings:
        print(warnings, end="")
    if broken or warnings:
        raise SystemExit(1)
    print(f"{html}/index.html")


if __name__ == "__main__":
    main()
