#!/usr/bin/python3
"""only.py PACKAGE... -- COMMAND...: runs a command where no other packages are visible.

The visible part of /usr is that of a fresh Debian or Ubuntu (essential and required packages, and
apt), the named packages, and their dependencies. An overlay of whiteouts in the command's own mount
namespace hides the files of every other installed package and all of /usr/local; nothing changes
outside. dpkg still reports all packages as installed, so nothing gets installed.

The tree's build directory is an empty one. Options before the packages:
    --keep DIRECTORY   of the tree, stays as it is (build/fuzz)
Exit status: the command's; 77 if mount namespaces or overlays are not available.
"""

import ctypes
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATUS = pathlib.Path("/var/lib/dpkg/status")
INFO = pathlib.Path("/var/lib/dpkg/info")
SKIP = 77
BASE = ("apt",)  # Besides essential and required packages.
BASE_PRIORITIES = ("required",)


def parse_status(text):
    """From name to fields, for installed packages."""
    packages = {}
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): *(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            packages[fields["Package"]] = fields
    return packages


def names_in(relations):
    """Each dependency as the list of its alternatives' names."""
    for relation in filter(None, (part.strip() for part in relations.split(","))):
        yield [re.match(r"[^\s:(\[]+", choice.strip()).group() for choice in relation.split("|")]


def providers(packages):
    found = {}
    for name, fields in packages.items():
        for (virtual,) in names_in(fields.get("Provides", "")):
            found.setdefault(virtual, []).append(name)
    return found


def closure(packages, wanted):
    """Names of the base, of the wanted packages, and of their dependencies."""
    virtual = providers(packages)
    queue = [name for name, fields in packages.items()
             if fields.get("Essential") == "yes" or fields.get("Priority") in BASE_PRIORITIES]
    queue += [*BASE, *wanted]
    seen = set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        fields = packages.get(name, {})
        for choices in names_in(f"{fields.get('Depends', '')}, {fields.get('Pre-Depends', '')}"):
            real = [choice for choice in choices if choice in packages]
            stand_ins = [each for choice in choices for each in virtual.get(choice, [])]
            queue += real[:1] or stand_ins  # apt takes the first alternative.
    return seen


def files_of(name, fields):
    """Paths below /usr; / and /usr are merged in every distribution that we build on."""
    listed = INFO / f"{name}.list"
    if not listed.exists():
        listed = INFO / f"{name}:{fields['Architecture']}.list"
    for line in listed.read_text().splitlines():
        yield line if line.startswith("/usr/") else "/usr" + line


def hidden_files(packages, visible):
    shown = {path for name in visible if name in packages for path in files_of(name, packages[name])}
    for name, fields in packages.items():
        if name not in visible:
            for path in set(files_of(name, fields)) - shown:
                if not os.path.isdir(path) or os.path.islink(path):
                    yield path


def mount(source, target, kind, data=""):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), str(target).encode(), kind.encode(), 0, data.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"cannot mount {kind} on {target}: {os.strerror(error)}")


def hide(wanted, scratch):
    packages = parse_status(STATUS.read_text())
    absent = [name for name in wanted if name not in packages]
    if absent:
        sys.exit(f"only.py: not installed: {' '.join(absent)}")
    mount("tmpfs", scratch, "tmpfs")
    upper, work = scratch / "upper", scratch / "work"
    work.mkdir()
    for path in hidden_files(packages, closure(packages, wanted)):
        whiteout = upper / pathlib.Path(path).relative_to("/usr")
        whiteout.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path) and not os.path.lexists(whiteout):
            os.mknod(whiteout, stat.S_IFCHR, os.makedev(0, 0))
    for directory, _, _ in os.walk(upper):
        os.chmod(directory, 0o755)
    options = f"lowerdir=/usr,upperdir={upper},workdir={work}"
    mount("overlay", "/usr", "overlay", options + ("" if os.getuid() == 0 and not in_user_namespace()
                                                   else ",userxattr"))
    mount("tmpfs", "/usr/local", "tmpfs")


def in_user_namespace():
    return pathlib.Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]


def hide_builds(kept):
    build = ROOT / "build"
    held = {path: os.open(ROOT / path, os.O_PATH) for path in kept}
    mount("tmpfs", build, "tmpfs")
    for path, descriptor in held.items():
        (ROOT / path).mkdir(parents=True)
        subprocess.run(["mount", "--bind", f"/proc/self/fd/{descriptor}", ROOT / path], check=True,
                       pass_fds=[descriptor])


def inside(scratch, kept, wanted, command):
    try:
        hide_builds(kept)
        hide(wanted, scratch)
    except OSError as error:
        print(f"only.py: {error}", file=sys.stderr)
        sys.exit(SKIP)
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    os.execvp(command[0], command)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--inside"]:
        split = arguments.index("--")
        kept = [arguments[i + 1] for i in range(split) if arguments[i] == "--keep"]
        wanted = arguments[2 + 2 * len(kept):split]
        inside(pathlib.Path(arguments[1]), kept, wanted, arguments[split + 1:])
    if "--" not in arguments or arguments.index("--") + 1 == len(arguments):
        sys.exit(__doc__)
    (ROOT / "build").mkdir(exist_ok=True)
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        unshare.append("--map-root-user")
        if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
            print("only.py: no mount namespace is to be had", file=sys.stderr)
            sys.exit(SKIP)
    with tempfile.TemporaryDirectory(prefix="sni-proxy-only.") as scratch:
        sys.exit(subprocess.run([*unshare, "/usr/bin/python3", "-B", __file__, "--inside", scratch,
                                 *arguments]).returncode)


if __name__ == "__main__":
    main()
