#!/usr/bin/env python3
"""image_root.py PROGRAM DIRECTORY --version V [--created TIME]: lays out in DIRECTORY the root of an image that runs PROGRAM, and nothing but it: its
libraries, certificate authorities, who it runs as, the licences of it all, and an SBOM (SPDX 2.3, JSON). Runs on Debian."""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

USER = 10001
DOCUMENTS = pathlib.Path("usr/share/doc")
# What libraries read, but no linker knows of.
READ_AT_RUN_TIME = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf", "/etc/services", "/etc/protocols")
# ca-certificates.crt is made when that package is installed: no list of files has it.
MADE_BY = {"/etc/ssl/certs/ca-certificates.crt": "ca-certificates"}
WRITTEN = {
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    "etc/passwd": f"root:x:0:0:root:/:/sbin/nologin\npostern:x:{USER}:{USER}:Postern:/:/sbin/nologin\n",
    "etc/group": f"root:x:0:\npostern:x:{USER}:\n",
}


def output(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def libraries(program):
    """What the loader maps for `program`, itself included, as the paths by which it finds them."""
    lines = output("ldd", program)
    missing = re.findall(r"(\S+) => not found", lines)
    if missing:
        raise SystemExit(f"{program} lacks {', '.join(missing)}")
    return sorted(set(re.findall(r"(/\S+) \(0x", lines)))


def archives(program):
    """What was linked into `program`, as cmake/StaticLibraries.cmake noted it beside the program."""
    noted = program.with_name(program.name + ".archives")
    return noted.read_text(encoding="utf-8").split() if noted.exists() else []


def put(source, root):
    """A copy of `source` at its own path, its directories as they are on merged-usr systems: /lib and /lib64 are in /usr."""
    place = pathlib.Path(os.path.realpath(os.path.dirname(source))) / os.path.basename(source)
    target = root / place.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(os.path.realpath(source), target)
    return target


def merge_usr(root):
    for name in ("bin", "lib", "lib64", "sbin"):
        link = pathlib.Path("/") / name
        if link.is_symlink() and (root / "usr" / name).is_dir():
            (root / name).symlink_to(os.readlink(link))


def packages_of(files):
    """{package: its files}, by dpkg, whose lists have some paths from before usr was merged."""
    owned = {}
    for file in files:
        if file in MADE_BY:
            owned.setdefault(MADE_BY[file], []).append(file)
            continue
        real = os.path.realpath(file)
        for path in dict.fromkeys((file, real, real.removeprefix("/usr"))):
            found = subprocess.run(["dpkg", "--search", path], check=False, capture_output=True, text=True)
            if found.returncode == 0:
                owned.setdefault(found.stdout.split(":")[0].split(",")[0], []).append(file)
                break
        else:
            raise SystemExit(f"no package has {file}")
    return dict(sorted(owned.items()))


def described(package):
    form = "${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${Maintainer}\n"
    names = ("version", "architecture", "source", "source_version", "maintainer")
    return dict(zip(names, output("dpkg-query", "--show", f"--showformat={form}", package).splitlines()[0].split("\t")))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def spdx(name, options, program, owned, linked):
    """The same text for the same sources and packages: nothing in it is random. `owned` are packages whose files are in the image,
    `linked` those whose archives are in the program."""
    version = options.version
    packages, relationships = [], []

    def add(identifier, fields, relation):
        packages.append({"SPDXID": identifier, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
                         "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION"} | fields)
        relationships.append({"spdxElementId": relation[0], "relationshipType": relation[1], "relatedSpdxElement": identifier})

    add("SPDXRef-postern", {"name": name, "versionInfo": version, "licenseDeclared": "Apache-2.0", "primaryPackagePurpose": "APPLICATION",
                            "checksums": [{"algorithm": "SHA256", "checksumValue": digest(program)}]}, ("SPDXRef-DOCUMENT", "DESCRIBES"))
    for package, files, relation in [(*of, "DEPENDS_ON") for of in owned.items()] + [(*of, "STATIC_LINK") for of in linked.items()]:
        about = described(package)
        add(f"SPDXRef-{re.sub(r'[^A-Za-z0-9.-]', '-', package)}", {
            "name": package, "versionInfo": about["version"], "licenseDeclared": "NOASSERTION",
            "supplier": f"Organization: Debian ({about['maintainer'].split(' <')[0]})",
            "sourceInfo": f"built from {about['source']} {about['source_version']}",
            "comment": f"licence: /{DOCUMENTS}/{package}/copyright; files: {', '.join(files)}",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator":
                              f"pkg:deb/debian/{package.replace('+', '%2B')}@{about['version'].replace('+', '%2B').replace(':', '%3A')}"
                              f"?arch={about['architecture']}"}]}, ("SPDXRef-postern", relation))
    contents = hashlib.sha256(json.dumps(packages).encode()).hexdigest()
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"{name}-{version}",
            "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{version}-{contents}",
            "creationInfo": {"created": options.created, "creators": ["Tool: postern-image_root"]},
            "packages": packages, "relationships": relationships}


def lay_out(options):
    program, root = options.program, options.directory
    target = root / "usr" / "bin" / program.name
    target.parent.mkdir(parents=True)
    shutil.copy2(program, target)
    files = libraries(program) + [file for file in READ_AT_RUN_TIME if os.path.exists(file)]
    for file in files:
        put(file, root)
    merge_usr(root)
    for path, text in WRITTEN.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "postern").mkdir()  # where configuration is mounted
    owned, linked = packages_of(files), packages_of(archives(program))
    for package in owned | linked:
        (root / DOCUMENTS / package).mkdir(parents=True)
        shutil.copy2(f"/{DOCUMENTS}/{package}/copyright", root / DOCUMENTS / package / "copyright", follow_symlinks=True)
    of_postern = root / DOCUMENTS / "postern"
    of_postern.mkdir(parents=True)
    shutil.copy2("LICENSE", of_postern / "copyright")
    bill = json.dumps(spdx(program.name, options, program, owned, linked), indent=1) + "\n"
    (of_postern / "sbom.spdx.json").write_text(bill, encoding="utf-8")


def check(root, program):
    """That the loader of the image finds every library in the image."""
    done = subprocess.run(["chroot", root, f"/usr/bin/{program.name}", "--version"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{program.name} does not start in its image: {done.stderr}")
    print(f"{program.name} {done.stdout.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--version", required=True, help="of Postern")
    parser.add_argument("--created", default="1970-01-01T00:00:00Z", help="when its sources were committed, for the SBOM")
    options = parser.parse_args()
    lay_out(options)
    check(options.directory, options.program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
